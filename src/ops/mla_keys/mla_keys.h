// The keys and values of MLA in expanded form.      DeepSeek-V2 (arXiv:2405.04434), eq. 14-17
//   kv      [tokens, heads · (nope + v)]   kv_b_proj's output: per head the key part, then the
//   value part k_rope  [tokens, rope]                 the one rotary key, shared by all heads k
//   [tokens, heads · (nope + rope)], v [tokens, heads · v]
// Backward keeps nothing: dkv regroups dk and dv, dk_rope sums dk's rotary part over heads.
#pragma once

#include "runtime/pass.h"

namespace fathom {

struct MlaKeys {
  Tensor k, v;
};
MlaKeys mla_keys(Pass& pass, const Tensor& kv, const Tensor& k_rope, int64_t heads,
                 int64_t qk_nope_head_dim, int64_t v_head_dim);

}  // namespace fathom
