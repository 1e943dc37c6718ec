// The kernels of mla_keys, named as their slots in the kernel table; contracts are there.
#pragma once

#include <vector>

#include "ops/bench_rows.h"
#include "ops/kernel_table.h"

namespace fathom {

// The columns of one head: nope and rope of its key, and its value.
struct MlaWidths {
  int64_t heads = 0, nope = 0, rope = 0, value = 0;
};

namespace reference {
void mla_keys(Stream*, ConstView kv, ConstView k_rope, int64_t heads, View k, View v);
void mla_keys_backward(Stream*, ConstView dk, ConstView dv, int64_t heads, View dkv, View dk_rope);
}  // namespace reference

namespace cpu {
void mla_keys(Stream*, ConstView kv, ConstView k_rope, int64_t heads, View k, View v);
void mla_keys_backward(Stream*, ConstView dk, ConstView dv, int64_t heads, View dkv, View dk_rope);
}  // namespace cpu

std::vector<BenchRow> mla_keys_bench();

}  // namespace fathom
