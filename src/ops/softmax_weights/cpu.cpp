// Softmax weights on the CPU: one pass for the largest logit, one for the exponentials, whose sums
// are f32 in lanes over a block and double over blocks. A row depends on its own numbers alone.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/parallel.h"
#include "ops/simd_targets.h"
#include "ops/softmax_weights/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/softmax_weights/cpu.cpp"
#include <hwy/foreach_target.h>

#include "ops/simd-inl.h"
#include "ops/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom {
namespace HWY_NAMESPACE {
namespace {

// The largest of x, −infinity if there is none; a NaN among x gives NaN.
float weights_max(const float* x, int64_t count) {
  const F32 d;
  const int64_t step = lanes();
  const VF32 lowest = hn::Set(d, -std::numeric_limits<float>::infinity());
  VF32 m0 = lowest, m1 = lowest, m2 = lowest, m3 = lowest;  // several hide the latency
  auto nan = hn::IsNaN(lowest);
  const auto meet = [&](VF32& largest, VF32 v) HWY_ATTR {
    largest = hn::Max(largest, v);
    nan = hn::Or(nan, hn::IsNaN(v));
  };
  int64_t i = 0;
  for (; i + 4 * step <= count; i += 4 * step) {
    meet(m0, hn::LoadU(d, x + i));
    meet(m1, hn::LoadU(d, x + i + step));
    meet(m2, hn::LoadU(d, x + i + 2 * step));
    meet(m3, hn::LoadU(d, x + i + 3 * step));
  }
  for (; i + step <= count; i += step) meet(m0, hn::LoadU(d, x + i));
  if (i < count) {
    const auto inside = hn::FirstN(d, static_cast<size_t>(count - i));
    meet(m1, hn::IfThenElse(inside, load_part(x + i, count - i), lowest));
  }
  if (!hn::AllFalse(d, nan)) return std::numeric_limits<float>::quiet_NaN();
  return hn::GetLane(hn::MaxOfLanes(d, hn::Max(hn::Max(m0, m1), hn::Max(m2, m3))));
}

// The first place of `value`, which is among x.
int64_t weights_place(const float* x, int64_t count, float value) {
  const F32 d;
  const VF32 wanted = hn::Set(d, value);
  int64_t i = 0;
  for (; i + lanes() <= count; i += lanes()) {
    const auto found = hn::FindFirstTrue(d, hn::Eq(hn::LoadU(d, x + i), wanted));
    if (found >= 0) return i + static_cast<int64_t>(found);
  }
  while (x[i] != value) ++i;
  return i;
}

// e^t for t <= 0; 0 where exp_of, which never reaches it, holds its result at 2^-126.
HWY_INLINE VF32 weight_of(VF32 t) {
  return hn::IfThenZeroElse(hn::Lt(t, hn::Set(F32(), -87.33654f)), exp_of(t));
}

HWY_INLINE float lanes_sum(VF32 v) { return hn::GetLane(hn::SumOfLanes(F32(), v)); }

// weight = exp((x − max) · inverse) and its sums by block. Returns sum exp(x − max).
template <bool kOne>  // inverse is 1: both exponentials are the same
HWY_INLINE double weights_of_row(const float* x, int64_t count, float max, float inverse,
                                 float* weight, float* block_sum) {
  const F32 d;
  const VF32 shift = hn::Set(d, max), scale = hn::Set(d, inverse);
  double total = 0;
  for (int64_t begin = 0; begin < count; begin += kWeightBlock) {
    VF32 sum = hn::Zero(d), plain_sum = hn::Zero(d);
    for_each_vector(
        std::min(kWeightBlock, count - begin),
        [&](int64_t i) HWY_ATTR {
          const VF32 below = hn::Sub(hn::LoadU(d, x + begin + i), shift);
          const VF32 w = weight_of(kOne ? below : hn::Mul(below, scale));
          hn::StoreU(w, d, weight + begin + i);
          sum = hn::Add(sum, w);
          if constexpr (!kOne) plain_sum = hn::Add(plain_sum, weight_of(below));
        },
        [&](int64_t i, int64_t n) HWY_ATTR {
          const auto inside = hn::FirstN(d, static_cast<size_t>(n));
          const VF32 below = hn::Sub(load_part(x + begin + i, n), shift);
          const VF32 w = weight_of(kOne ? below : hn::Mul(below, scale));
          store_part(w, weight + begin + i, n);
          sum = hn::Add(sum, hn::IfThenElseZero(inside, w));
          if constexpr (!kOne)
            plain_sum = hn::Add(plain_sum, hn::IfThenElseZero(inside, weight_of(below)));
        });
    const float of_block = lanes_sum(sum);
    *block_sum++ = of_block;
    total += static_cast<double>(kOne ? of_block : lanes_sum(plain_sum));
  }
  return total;
}

double weights_row(const float* x, int64_t count, float max, float inverse, float* weight,
                   float* block_sum) {
  if (inverse == 1) return weights_of_row<true>(x, count, max, inverse, weight, block_sum);
  return weights_of_row<false>(x, count, max, inverse, weight, block_sum);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fathom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::cpu {

HWY_EXPORT(weights_max);
HWY_EXPORT(weights_place);
HWY_EXPORT(weights_row);

void softmax_weights(Stream*, ConstView logits, std::span<const float> inverse_temperature,
                     View weight, View block_sum, View best, View lse) {
  const auto row_max = HWY_DYNAMIC_DISPATCH(weights_max);
  const auto row_place = HWY_DYNAMIC_DISPATCH(weights_place);
  const auto row_weights = HWY_DYNAMIC_DISPATCH(weights_row);
  const int64_t vocab = logits.cols();
  for_each_piece(logits.rows(), piece_rows(vocab), vocab, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const float* x = logits.row<float>(r);
      float* w = weight.row<float>(r);
      float* sums = block_sum.row<float>(r);
      const float max = row_max(x, vocab);
      if (!std::isfinite(max)) {
        std::fill_n(w, vocab, 0.0f);
        std::fill_n(sums, block_sum.cols(), 0.0f);
        best.row<int32_t>(0)[r] = -1;
        lse.row<double>(0)[r] = std::numeric_limits<double>::quiet_NaN();
        continue;
      }
      best.row<int32_t>(0)[r] = static_cast<int32_t>(row_place(x, vocab, max));
      const float inverse = inverse_temperature[static_cast<size_t>(r)];
      lse.row<double>(0)[r] =
          static_cast<double>(max) + std::log(row_weights(x, vocab, max, inverse, w, sums));
    }
  });
}

}  // namespace fathom::cpu
#endif  // HWY_ONCE
