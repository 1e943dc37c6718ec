// The kernels of attention, named as their slots in the kernel table; contracts are there.
#pragma once

#include <vector>

#include "ops/bench_rows.h"
#include "ops/kernel_table.h"

namespace fathom {

namespace reference {
void attention(Stream*, ConstView q, ConstView k, ConstView v, ConstView starts,
               const AttentionShape& shape, View out, View lse);
void attention_backward(Stream*, ConstView q, ConstView k, ConstView v, ConstView out,
                        ConstView lse, ConstView dout, ConstView starts,
                        const AttentionShape& shape, View dq, View dk, View dv);
}  // namespace reference

namespace cpu {
void attention(Stream*, ConstView q, ConstView k, ConstView v, ConstView starts,
               const AttentionShape& shape, View out, View lse);
void attention_backward(Stream*, ConstView q, ConstView k, ConstView v, ConstView out,
                        ConstView lse, ConstView dout, ConstView starts,
                        const AttentionShape& shape, View dq, View dk, View dv);
}  // namespace cpu

std::vector<BenchRow> attention_bench();

}  // namespace fathom
