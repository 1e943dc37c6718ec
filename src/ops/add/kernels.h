// Kernels of add; the contract is in ops/kernel_table.h.
#pragma once

#include <vector>

#include "ops/bench_rows.h"
#include "ops/kernel_table.h"

namespace fathom {

namespace reference {
void add(Stream*, ConstView a, ConstView b, View y);
}

namespace cpu {
void add(Stream*, ConstView a, ConstView b, View y);
}

std::vector<BenchRow> add_bench();

}  // namespace fathom
