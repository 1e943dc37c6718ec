// The kernels of rope, named as their slot in the kernel table; the contract is there.
#pragma once

#include <vector>

#include "ops/bench_rows.h"
#include "ops/kernel_table.h"

namespace fathom {

namespace reference {
void rope(Stream*, View x, ConstView cos, ConstView sin, const RopeShape& shape, bool inverse);
}  // namespace reference

namespace cpu {
void rope(Stream*, View x, ConstView cos, ConstView sin, const RopeShape& shape, bool inverse);
}  // namespace cpu

std::vector<BenchRow> rope_bench();

}  // namespace fathom
