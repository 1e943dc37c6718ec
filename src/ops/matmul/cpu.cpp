// Bias of linear layers. Limited by memory.
#include "ops/matmul/kernels.h"
#include "ops/parallel.h"
#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/matmul/cpu.cpp"
#include <hwy/foreach_target.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom {
namespace HWY_NAMESPACE {

void add_bias_rows(const float* b, View y, int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; ++r) {
    float* row = y.row<float>(r);
    map(row, b, row, y.cols(), [](VF32 x, VF32 bias) HWY_ATTR { return hn::Add(x, bias); });
  }
}

// db = or += the sums of columns [begin, end), row after row.
void sum_columns(ConstView dy, float* db, bool accumulate, int64_t begin, int64_t end) {
  const F32 d;
  for_each_vector(
      end - begin,
      [&](int64_t i) HWY_ATTR {
        VF32 sum = accumulate ? hn::LoadU(d, db + begin + i) : hn::Zero(d);
        for (int64_t r = 0; r < dy.rows(); ++r)
          sum = hn::Add(sum, hn::LoadU(d, dy.row<float>(r) + begin + i));
        hn::StoreU(sum, d, db + begin + i);
      },
      [&](int64_t i, int64_t n) HWY_ATTR {
        VF32 sum = accumulate ? load_part(db + begin + i, n) : hn::Zero(d);
        for (int64_t r = 0; r < dy.rows(); ++r)
          sum = hn::Add(sum, load_part(dy.row<float>(r) + begin + i, n));
        store_part(sum, db + begin + i, n);
      });
}

}  // namespace HWY_NAMESPACE
}  // namespace fathom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::cpu {

HWY_EXPORT(add_bias_rows);
HWY_EXPORT(sum_columns);

constexpr int64_t kPieceColumns = 64;  // columns that one thread sums: whole cache lines

void add_bias(Stream* stream, ConstView b, View y) {
  if (y.dtype != DType::kF32) return reference::add_bias(stream, b, y);
  const auto rows = HWY_DYNAMIC_DISPATCH(add_bias_rows);
  for_each_piece(y.rows(), piece_rows(y.cols()), y.cols(),
                 [&](int64_t begin, int64_t end) { rows(b.row<float>(0), y, begin, end); });
}

void bias_backward(Stream* stream, ConstView dy, View db, bool accumulate) {
  if (dy.dtype != DType::kF32) return reference::bias_backward(stream, dy, db, accumulate);
  const auto sum = HWY_DYNAMIC_DISPATCH(sum_columns);
  for_each_piece(dy.cols(), kPieceColumns, dy.rows(), [&](int64_t begin, int64_t end) {
    sum(dy, db.row<float>(0), accumulate, begin, end);
  });
}

}  // namespace fathom::cpu
#endif  // HWY_ONCE
