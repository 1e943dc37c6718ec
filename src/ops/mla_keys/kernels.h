// The kernels of mla_keys, named as their slots in the kernel table; contracts are there.
#pragma once

#include <vector>

#include "ops/bench_rows.h"
#include "ops/kernel_table.h"

namespace fathom {

namespace reference {
void mla_keys(Stream*, ConstView kv, ConstView k_rope, int64_t heads, View k, View v);
void mla_keys_backward(Stream*, ConstView dk, ConstView dv, int64_t heads, View dkv, View dk_rope);
}  // namespace reference

std::vector<BenchRow> mla_keys_bench();

}  // namespace fathom
