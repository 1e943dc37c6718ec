// Kernels of rms_norm; contracts are in ops/kernel_table.h.
#pragma once

#include <vector>

#include "ops/bench_rows.h"
#include "ops/kernel_table.h"

namespace fathom {

namespace reference {
void rms_norm(Stream*, ConstView x, ConstView w, float eps, View y, View inv_rms);
void rms_norm_backward(Stream*, ConstView x, ConstView w, ConstView inv_rms, ConstView dy, View dx,
                       bool accumulate_dx, View dw, bool accumulate_dw);
}  // namespace reference

namespace cpu {
void rms_norm(Stream*, ConstView x, ConstView w, float eps, View y, View inv_rms);
void rms_norm_backward(Stream*, ConstView x, ConstView w, ConstView inv_rms, ConstView dy, View dx,
                       bool accumulate_dx, View dw, bool accumulate_dw);
}  // namespace cpu

std::vector<BenchRow> rms_norm_bench();

}  // namespace fathom
