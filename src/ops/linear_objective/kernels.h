// The kernels of linear_objective; contracts are in ops/kernel_table.h. The products around them
// are the matmul slots.
#pragma once

#include <vector>

#include "ops/bench_rows.h"
#include "ops/kernel_table.h"

namespace fathom {

namespace reference {
void target_logprob(Stream*, ConstView logits, ConstView target, View logprob, View lse);
void target_logprob_backward(Stream*, ConstView logits, ConstView target, ConstView lse,
                             ConstView coefficient, View dlogits);
}  // namespace reference

namespace cpu {
void target_logprob(Stream*, ConstView logits, ConstView target, View logprob, View lse);
void target_logprob_backward(Stream*, ConstView logits, ConstView target, ConstView lse,
                             ConstView coefficient, View dlogits);
}  // namespace cpu

std::vector<BenchRow> linear_objective_bench();

}  // namespace fathom
