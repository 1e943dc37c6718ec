// Both are limited by memory for parameters larger than the caches: a step moves 28 bytes per
// element, more than its square root and two divisions cost.
#include <numeric>
#include <vector>

#include "ops/adamw/kernels.h"
#include "ops/parallel.h"
#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/adamw/cpu.cpp"
#include <hwy/foreach_target.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom {
namespace HWY_NAMESPACE {
namespace {

struct Moments {
  VF32 value, m, v;
};

// The factors of a step in every lane.
struct Factors {
  VF32 keep, beta1, rest1, beta2, rest2, step_size, root_correction2, eps, scale;

  explicit Factors(const AdamWFactors<float>& f) {
    const F32 d;
    keep = hn::Set(d, f.keep);
    beta1 = hn::Set(d, f.beta1);
    rest1 = hn::Set(d, f.rest1);
    beta2 = hn::Set(d, f.beta2);
    rest2 = hn::Set(d, f.rest2);
    step_size = hn::Set(d, f.step_size);
    root_correction2 = hn::Set(d, f.root_correction2);
    eps = hn::Set(d, f.eps);
    scale = hn::Set(d, f.scale);
  }

  HWY_INLINE Moments next(const Moments& old, VF32 grad) const {
    const VF32 g = hn::Mul(grad, scale);
    const VF32 m = hn::MulAdd(beta1, old.m, hn::Mul(rest1, g));
    const VF32 v = hn::MulAdd(beta2, old.v, hn::Mul(rest2, hn::Mul(g, g)));
    const VF32 root = hn::Add(hn::Div(hn::Sqrt(v), root_correction2), eps);
    return {hn::NegMulAdd(step_size, hn::Div(m, root), hn::Mul(old.value, keep)), m, v};
  }
};

// `grad` may be null: zero.
void adamw_run(float* value, const float* grad, float* m, float* v, int64_t count,
               const AdamWFactors<float>& constants) {
  const F32 d;
  const Factors factors(constants);
  for_each_vector(
      count,
      [&](int64_t i) HWY_ATTR {
        const Moments old = {hn::LoadU(d, value + i), hn::LoadU(d, m + i), hn::LoadU(d, v + i)};
        const Moments next = factors.next(old, grad ? hn::LoadU(d, grad + i) : hn::Zero(d));
        hn::StoreU(next.value, d, value + i);
        hn::StoreU(next.m, d, m + i);
        hn::StoreU(next.v, d, v + i);
      },
      [&](int64_t i, int64_t n) HWY_ATTR {
        const Moments old = {load_part(value + i, n), load_part(m + i, n), load_part(v + i, n)};
        const Moments next = factors.next(old, grad ? load_part(grad + i, n) : hn::Zero(d));
        store_part(next.value, value + i, n);
        store_part(next.m, m + i, n);
        store_part(next.v, v + i, n);
      });
}

// The squares of f32 numbers are exact in f64.
double squares_run(const float* x, int64_t count) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> half;
  const auto step = static_cast<int64_t>(hn::Lanes(d));
  auto s0 = hn::Zero(d), s1 = hn::Zero(d);
  int64_t i = 0;
  for (; i + 2 * step <= count; i += 2 * step) {
    const auto a = hn::PromoteTo(d, hn::LoadU(half, x + i));
    const auto b = hn::PromoteTo(d, hn::LoadU(half, x + i + step));
    s0 = hn::MulAdd(a, a, s0);
    s1 = hn::MulAdd(b, b, s1);
  }
  double sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(s0, s1)));
  for (; i < count; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fathom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::cpu {

HWY_EXPORT(adamw_run);
HWY_EXPORT(squares_run);

void adamw(Stream* stream, View value, ConstView grad, View m, View v, const AdamWStep& step) {
  if (value.dtype != DType::kF32) return reference::adamw(stream, value, grad, m, v, step);
  const auto run = HWY_DYNAMIC_DISPATCH(adamw_run);
  const AdamWFactors<float> factors(step);
  for_each_piece(value.shape.elements(), kPieceElements, 1, [&](int64_t begin, int64_t end) {
    run(value.row<float>(0) + begin, grad ? grad.row<float>(0) + begin : nullptr,
        m.row<float>(0) + begin, v.row<float>(0) + begin, end - begin, factors);
  });
}

double sum_squares(Stream* stream, ConstView x) {
  if (x.dtype != DType::kF32) return reference::sum_squares(stream, x);
  const auto run = HWY_DYNAMIC_DISPATCH(squares_run);
  const int64_t rows = x.contiguous() ? 1 : x.rows();
  const int64_t cols = x.shape.elements() / std::max<int64_t>(1, rows);
  const int64_t in_row = (cols + kPieceElements - 1) / kPieceElements;  // partial sums per row
  std::vector<double> partial(static_cast<size_t>(rows * in_row));
  for_each_piece(rows * in_row, 1, std::min(cols, kPieceElements), [&](int64_t p, int64_t) {
    const int64_t begin = p % in_row * kPieceElements;
    partial[static_cast<size_t>(p)] =
        run(x.row<float>(p / in_row) + begin, std::min(kPieceElements, cols - begin));
  });
  return std::accumulate(partial.begin(), partial.end(), 0.0);
}

}  // namespace fathom::cpu
#endif  // HWY_ONCE
