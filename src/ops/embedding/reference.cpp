#include <algorithm>

#include "ops/embedding/kernels.h"
#include "ops/stored.h"

namespace fathom::reference {
namespace {

void gather_stored(const ConstView& ids, const ConstView& table, const View& y) {
  for (int64_t r = 0; r < y.rows(); ++r) {
    const int64_t id = ids.row<int32_t>(0)[r];
    for (int64_t c = 0; c < y.cols(); ++c) y.row<float>(r)[c] = stored_element(table, id, c);
  }
}

}  // namespace

void embedding(Stream*, ConstView ids, ConstView table, View y) {
  if (table.dtype != y.dtype) return gather_stored(ids, table, y);
  dispatch_float(table.dtype, "embedding", [&](auto zero) {
    using T = decltype(zero);
    for (int64_t r = 0; r < y.rows(); ++r)
      std::copy_n(table.row<T>(ids.row<int32_t>(0)[r]), y.cols(), y.row<T>(r));
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
