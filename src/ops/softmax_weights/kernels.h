// The kernels of softmax_weights, named as their slot in the kernel table; the contract is there.
#pragma once

#include <vector>

#include "ops/bench_rows.h"
#include "ops/kernel_table.h"

namespace fathom {

namespace reference {
void softmax_weights(Stream*, ConstView logits, std::span<const float> inverse_temperature,
                     View weight, View block_sum, View best, View lse);
}  // namespace reference

namespace cpu {
void softmax_weights(Stream*, ConstView logits, std::span<const float> inverse_temperature,
                     View weight, View block_sum, View best, View lse);
}  // namespace cpu

std::vector<BenchRow> softmax_weights_bench();

}  // namespace fathom
