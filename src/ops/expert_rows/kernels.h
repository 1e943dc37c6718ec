// The kernels of expert_rows; contracts are in ops/kernel_table.h and
// ops/expert_rows/expert_rows.h.
#pragma once

#include <vector>

#include "ops/bench_rows.h"
#include "ops/kernel_table.h"

namespace fathom {

namespace reference {
void order_by_expert(Stream*, ConstView expert, View offsets, View order, View place);
void expert_gather(Stream*, ConstView x, ConstView order, int64_t k, View rows);
void expert_gather_backward(Stream*, ConstView drows, ConstView place, int64_t k, View dx,
                            bool accumulate);
void expert_combine(Stream*, ConstView rows, ConstView place, ConstView weight, ConstView base,
                    View out);
void expert_combine_backward(Stream*, ConstView rows, ConstView place, ConstView weight,
                             ConstView dout, View drows, View dweight);
}  // namespace reference

namespace cpu {
void expert_gather(Stream*, ConstView x, ConstView order, int64_t k, View rows);
void expert_gather_backward(Stream*, ConstView drows, ConstView place, int64_t k, View dx,
                            bool accumulate);
void expert_combine(Stream*, ConstView rows, ConstView place, ConstView weight, ConstView base,
                    View out);
void expert_combine_backward(Stream*, ConstView rows, ConstView place, ConstView weight,
                             ConstView dout, View drows, View dweight);
}  // namespace cpu

std::vector<BenchRow> expert_rows_bench();

}  // namespace fathom
