// Log-probability of targets on the CPU. A chunk's logits are in the cache, so both kernels are
// limited by exp: about half a cycle for each logit with AVX-512, which is little beside the
// products around it.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/linear_objective/kernels.h"
#include "ops/operand.h"
#include "ops/parallel.h"
#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/linear_objective/cpu.cpp"
#include <hwy/foreach_target.h>

#include "ops/simd-inl.h"
#include "ops/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom {
namespace HWY_NAMESPACE {
namespace {

// f32 sums of exponentials are carried over to double after this many elements.
constexpr int64_t kObjectiveStretch = 4096;

// The largest of x; a NaN among x gives NaN.
float objective_max(const float* x, int64_t count) {
  const F32 d;
  const VF32 lowest = hn::Set(d, -std::numeric_limits<float>::infinity());
  VF32 largest = lowest;
  auto bad = hn::IsNaN(lowest);  // none
  for_each_vector(
      count,
      [&](int64_t i) HWY_ATTR {
        const VF32 v = hn::LoadU(d, x + i);
        largest = hn::Max(largest, v);
        bad = hn::Or(bad, hn::IsNaN(v));
      },
      [&](int64_t i, int64_t n) HWY_ATTR {
        const VF32 v =
            hn::IfThenElse(hn::FirstN(d, static_cast<size_t>(n)), load_part(x + i, n), lowest);
        largest = hn::Max(largest, v);
        bad = hn::Or(bad, hn::IsNaN(v));
      });
  if (!hn::AllFalse(d, bad)) return std::numeric_limits<float>::quiet_NaN();
  return hn::GetLane(hn::MaxOfLanes(d, largest));
}

// sum exp(x − shift), shift finite.
double objective_sum_exp(const float* x, int64_t count, float shift) {
  const F32 d;
  const VF32 s = hn::Set(d, shift);
  double total = 0;
  for (int64_t begin = 0; begin < count; begin += kObjectiveStretch) {
    VF32 sum = hn::Zero(d);
    for_each_vector(
        std::min(kObjectiveStretch, count - begin),
        [&](int64_t i)
            HWY_ATTR { sum = hn::Add(sum, exp_of(hn::Sub(hn::LoadU(d, x + begin + i), s))); },
        [&](int64_t i, int64_t n) HWY_ATTR {
          const VF32 e = exp_of(hn::Sub(load_part(x + begin + i, n), s));
          sum = hn::Add(sum, hn::IfThenElseZero(hn::FirstN(d, static_cast<size_t>(n)), e));
        });
    total += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, sum)));
  }
  return total;
}

// Row r of y := −factor · exp(x − shift)
void objective_scaled_exp(const float* x, View y, int64_t r, float shift, float factor) {
  const auto scaled = [=](VF32 v) HWY_ATTR {
    const F32 d;
    return hn::Mul(hn::Set(d, -factor), exp_of(hn::Sub(v, hn::Set(d, shift))));
  };
  if (y.dtype == DType::kBF16) {
    map(x, y.row<uint16_t>(r), y.cols(), scaled);
  } else {
    map(x, y.row<float>(r), y.cols(), scaled);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fathom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::cpu {

HWY_EXPORT(objective_max);
HWY_EXPORT(objective_sum_exp);
HWY_EXPORT(objective_scaled_exp);

void target_logprob(Stream* stream, ConstView logits, ConstView target, View logprob, View lse) {
  if (logits.dtype != DType::kF32) {
    return reference::target_logprob(stream, logits, target, logprob, lse);
  }
  const auto row_max = HWY_DYNAMIC_DISPATCH(objective_max);
  const auto row_sum = HWY_DYNAMIC_DISPATCH(objective_sum_exp);
  for_each_piece(
      logits.rows(), piece_rows(logits.cols()), logits.cols(), [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
          const float* x = logits.row<float>(r);
          const float largest = row_max(x, logits.cols());
          // A NaN would not survive exp_of; a row without a finite maximum has no log-probability.
          const double log_sum =
              std::isfinite(largest)
                  ? static_cast<double>(largest) + std::log(row_sum(x, logits.cols(), largest))
                  : std::numeric_limits<double>::quiet_NaN();
          lse.row<double>(0)[r] = log_sum;
          logprob.row<double>(0)[r] = static_cast<double>(x[target.row<int32_t>(0)[r]]) - log_sum;
        }
      });
}

void target_logprob_backward(Stream* stream, ConstView logits, ConstView target, ConstView lse,
                             ConstView coefficient, View dlogits) {
  if (logits.dtype != DType::kF32) {
    return reference::target_logprob_backward(stream, logits, target, lse, coefficient, dlogits);
  }
  const auto scaled_exp = HWY_DYNAMIC_DISPATCH(objective_scaled_exp);
  for_each_piece(
      logits.rows(), piece_rows(logits.cols()), logits.cols(), [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
          const float* x = logits.row<float>(r);
          const double log_sum = lse.row<double>(0)[r], factor = coefficient.row<double>(0)[r];
          const int32_t hit = target.row<int32_t>(0)[r];
          // One minus the probability, in double: f32 would lose it where the model is sure.
          const double missing = -std::expm1(static_cast<double>(x[hit]) - log_sum);
          if (std::isfinite(log_sum)) {
            scaled_exp(x, dlogits, r, static_cast<float>(log_sum), static_cast<float>(factor));
          } else {
            for (int64_t i = 0; i < logits.cols(); ++i)
              put(dlogits, r, i, std::numeric_limits<float>::quiet_NaN());
          }
          put(dlogits, r, hit, static_cast<float>(factor * missing));
        }
      });
}

}  // namespace fathom::cpu
#endif  // HWY_ONCE
