// Kernels of the whole-tensor operations and of row selection; the contracts are in
// ops/kernel_table.h and runtime/elementwise.h.
//
// fill_zero, copy and the moves of rows take any plain dtype, both sides the same; the sums are f32
// or f64.
#pragma once

#include <vector>

#include "ops/bench_rows.h"
#include "ops/kernel_table.h"

namespace fathom {

namespace reference {
void fill_zero(Stream*, View x);
void copy(Stream*, ConstView x, View y);
void accumulate(Stream*, ConstView x, View y);
void gather_rows(Stream*, ConstView x, ConstView index, View y);
void scatter_rows(Stream*, ConstView y, ConstView index, View x);
void scatter_add_rows(Stream*, ConstView dy, ConstView index, View dx);
}  // namespace reference

namespace cpu {
void fill_zero(Stream*, View x);
void copy(Stream*, ConstView x, View y);
void accumulate(Stream*, ConstView x, View y);
void gather_rows(Stream*, ConstView x, ConstView index, View y);
void scatter_rows(Stream*, ConstView y, ConstView index, View x);
void scatter_add_rows(Stream*, ConstView dy, ConstView index, View dx);
}  // namespace cpu

std::vector<BenchRow> basic_bench();

}  // namespace fathom
