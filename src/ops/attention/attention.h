// Causal softmax attention inside each packed sequence.
// Vaswani et al. 2017 (arXiv:1706.03762), eq. 1; computed in tiles as in arXiv:2205.14135.
//   q  [tokens, heads · qk_dim]
//   k  [tokens, kv_heads · qk_dim]
//   v  [tokens, kv_heads · v_dim]
//   starts  [sequences + 1]: attention never crosses from one sequence to another
//   out  [tokens, heads · v_dim]
// Softmax in f32 (or f64). Backward keeps q, k, v, out and the log-sum-exp [tokens, heads].
#pragma once

#include <span>

#include "ops/kernel_table.h"
#include "runtime/pass.h"

namespace fathom {

Tensor attention(Pass& pass, const Tensor& q, const Tensor& k, const Tensor& v,
                 std::span<const int32_t> starts, const AttentionShape& shape);

}  // namespace fathom
