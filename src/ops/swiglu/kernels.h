// Kernels of swiglu; contracts are in ops/kernel_table.h.
#pragma once

#include <vector>

#include "ops/bench_rows.h"
#include "ops/kernel_table.h"

namespace fathom {

namespace reference {
void swiglu(Stream*, ConstView gate_up, View y);
void swiglu_backward(Stream*, ConstView gate_up, ConstView dy, View dgate_up);
}  // namespace reference

namespace cpu {
void swiglu(Stream*, ConstView gate_up, View y);
void swiglu_backward(Stream*, ConstView gate_up, ConstView dy, View dgate_up);
}  // namespace cpu

std::vector<BenchRow> swiglu_bench();

}  // namespace fathom
