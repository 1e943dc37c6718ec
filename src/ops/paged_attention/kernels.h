// The kernels of paged attention, named as their slot in the kernel table; the contract is there.
#pragma once

#include <vector>

#include "ops/bench_rows.h"
#include "ops/kernel_table.h"

namespace fathom {

namespace reference {
void paged_attention(Stream*, ConstView q, ConstView cache, std::span<const PagedSpan> spans,
                     const PagedShape& shape, View out);
}  // namespace reference

namespace cpu {
void paged_attention(Stream*, ConstView q, ConstView cache, std::span<const PagedSpan> spans,
                     const PagedShape& shape, View out);
}  // namespace cpu

std::vector<BenchRow> paged_attention_bench();

}  // namespace fathom
