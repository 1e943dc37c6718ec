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

// For the slots of the same names without bf16: the operands of all products are rounded to bf16
// (q, k, v, dout, the numerators of probabilities before their division, gradients of scores) and
// summed in f32 as reference::matmul_bf16_nt() says; the softmax is f32. Numerators are relative to
// the largest score up to the end of their block of keys. Sequences of fewer than kBf16LeastRows
// rows, which are mostly edges of tiles, and f64 are not rounded: the other kernels are faster
// there.
constexpr int64_t kBf16KeyBlock = 64;
constexpr int64_t kBf16LeastRows = 56;

namespace reference {
void attention_bf16(Stream*, ConstView q, ConstView k, ConstView v, ConstView starts,
                    const AttentionShape& shape, View out, View lse);
void attention_bf16_backward(Stream*, ConstView q, ConstView k, ConstView v, ConstView out,
                             ConstView lse, ConstView dout, ConstView starts,
                             const AttentionShape& shape, View dq, View dk, View dv);
}  // namespace reference

// On tile instructions, after request_amx() (base/cpu.h).
namespace amx {
void attention_bf16(Stream*, ConstView q, ConstView k, ConstView v, ConstView starts,
                    const AttentionShape& shape, View out, View lse);
void attention_bf16_backward(Stream*, ConstView q, ConstView k, ConstView v, ConstView out,
                             ConstView lse, ConstView dout, ConstView starts,
                             const AttentionShape& shape, View dq, View dk, View dv);
}  // namespace amx

std::vector<BenchRow> attention_bench();

}  // namespace fathom
