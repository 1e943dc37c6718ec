// One step of AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) with the arithmetic of
// torch.optim.AdamW, and the sum of squares that clipping needs. No op: nothing is differentiated.
// Contracts are in ops/kernel_table.h.
//   g = grad_scale · grad        value *= 1 − lr · weight_decay
//   m = beta1 · m + (1 − beta1) · g        v = beta2 · v + (1 − beta2) · g²
//   value −= lr / correction1 · m / (sqrt(v) / sqrt(correction2) + eps)
#pragma once

#include <cmath>
#include <vector>

#include "ops/bench_rows.h"
#include "ops/kernel_table.h"

namespace fathom {

// The numbers of a step that are the same for all elements, worked out in double as torch does.
template <class T>
struct AdamWFactors {
  T keep, beta1, rest1, beta2, rest2, step_size, root_correction2, eps, scale;

  explicit AdamWFactors(const AdamWStep& step)
      : keep(static_cast<T>(1 - step.lr * step.weight_decay)),
        beta1(static_cast<T>(step.beta1)),
        rest1(static_cast<T>(1 - step.beta1)),
        beta2(static_cast<T>(step.beta2)),
        rest2(static_cast<T>(1 - step.beta2)),
        step_size(static_cast<T>(step.lr / step.correction1)),
        root_correction2(static_cast<T>(std::sqrt(step.correction2))),
        eps(static_cast<T>(step.eps)),
        scale(static_cast<T>(step.grad_scale)) {}
};

namespace reference {
void adamw(Stream*, View value, ConstView grad, View m, View v, const AdamWStep& step);
double sum_squares(Stream*, ConstView x);
}  // namespace reference

namespace cpu {
void adamw(Stream*, View value, ConstView grad, View m, View v, const AdamWStep& step);
double sum_squares(Stream*, ConstView x);
}  // namespace cpu

std::vector<BenchRow> adamw_bench();

}  // namespace fathom
