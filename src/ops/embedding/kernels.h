// Kernels of embedding; contracts are in ops/kernel_table.h.
#pragma once

#include <vector>

#include "ops/bench_rows.h"
#include "ops/kernel_table.h"

namespace fathom {

namespace reference {
void embedding(Stream*, ConstView ids, ConstView table, View y);
void embedding_backward(Stream*, ConstView ids, ConstView dy, View dtable, bool accumulate);
}  // namespace reference

namespace cpu {
void embedding(Stream*, ConstView ids, ConstView table, View y);
void embedding_backward(Stream*, ConstView ids, ConstView dy, View dtable, bool accumulate);
}  // namespace cpu

std::vector<BenchRow> embedding_bench();

}  // namespace fathom
