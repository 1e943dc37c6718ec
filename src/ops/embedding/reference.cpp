#include <algorithm>

#include "base/float_bits.h"
#include "ops/embedding/kernels.h"

namespace fathom::reference {
namespace {

template <class From, class To, class Widen>
void gather(const ConstView& ids, const ConstView& table, const View& y, const Widen& widen) {
  for (int64_t r = 0; r < y.rows(); ++r) {
    const From* row = table.row<From>(ids.row<int32_t>(0)[r]);
    std::transform(row, row + table.cols(), y.row<To>(r), widen);
  }
}

}  // namespace

void embedding(Stream*, ConstView ids, ConstView table, View y) {
  if (table.dtype == DType::kBF16) return gather<uint16_t, float>(ids, table, y, bf16_to_f32);
  if (table.dtype == DType::kF16) return gather<uint16_t, float>(ids, table, y, f16_to_f32);
  dispatch_float(table.dtype, "embedding", [&](auto zero) {
    using T = decltype(zero);
    gather<T, T>(ids, table, y, [](T value) { return value; });
  });
}

void embedding_backward(Stream*, ConstView ids, ConstView dy, View dtable, bool accumulate) {
  dispatch_float(dy.dtype, "embedding_backward", [&](auto zero) {
    using T = decltype(zero);
    for (int64_t id = 0; !accumulate && id < dtable.rows(); ++id) {
      std::fill_n(dtable.row<T>(id), dtable.cols(), T{0});
    }
    for (int64_t r = 0; r < dy.rows(); ++r) {
      T* sum = dtable.row<T>(ids.row<int32_t>(0)[r]);
      for (int64_t c = 0; c < dy.cols(); ++c) sum[c] += dy.row<T>(r)[c];
    }
  });
}

}  // namespace fathom::reference
