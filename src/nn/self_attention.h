// Self-attention with keys and values per head: multi-head, grouped-query and multi-query.
//
// One product makes q, k and v. The cache row of a token is its keys, then its values.
#pragma once

#include <string>

#include "nn/row_context.h"
#include "runtime/parameter.h"

namespace fathom {

struct SelfAttentionShape {
  int64_t hidden_size = 0;
  int64_t num_attention_heads = 0, num_key_value_heads = 0;  // equal: mha; 1: mqa; between: gqa
  int64_t head_dim = 0;
  bool qkv_bias = false;  // biases on q_proj, k_proj and v_proj; o_proj never has one
  double softmax_scale = 0;
};

class SelfAttention {
 public:
  // `prefix` is the published one, "model.layers.3.self_attn."
  SelfAttention(const SelfAttentionShape& shape, const std::string& prefix);

  // x [tokens, hidden_size] -> [tokens, hidden_size]
  Tensor forward(Pass& pass, const Tensor& x, const RowContext& context, int64_t layer) const;
  void list(ParameterList& out);
  int64_t cache_width() const { return 2 * shape_.num_key_value_heads * shape_.head_dim; }

 private:
  AttentionShape attention_shape() const;
  Tensor attend_pages(Pass& pass, const Tensor& q, const Tensor& k, const Tensor& v,
                      const RowContext& context, int64_t layer) const;

  SelfAttentionShape shape_;
  Parameter qkv_proj_;  // [(heads + 2 · kv_heads) · head_dim, hidden_size]
  Parameter qkv_bias_;  // [(heads + 2 · kv_heads) · head_dim], only with biases
  Parameter o_proj_;    // [hidden_size, heads · head_dim]
};

}  // namespace fathom
