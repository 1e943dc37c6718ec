// One step of AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) with the arithmetic of
// torch.optim.AdamW, and the sum of squares that clipping needs. No op: nothing is differentiated.
// Contracts are in ops/kernel_table.h.
//   g = grad_scale · grad        value *= 1 − lr · weight_decay
//   m = beta1 · m + (1 − beta1) · g        v = beta2 · v + (1 − beta2) · g²
//   value −= lr / correction1 · m / (sqrt(v) / sqrt(correction2) + eps)
#pragma once

#include <vector>

#include "ops/bench_rows.h"
#include "ops/kernel_table.h"

namespace fathom {

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
