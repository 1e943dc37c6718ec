// Multi-head latent attention.                                        DeepSeek-V2
// (arXiv:2405.04434), section 2.1
//
// Keys and values of all heads come from one latent per token, which is all that the cache holds,
// beside one rotary key. Two algebraic forms: expanded (training, fresh prompts) and absorbed (rows
// that continue a cached sequence), proven equal by a test. Positions turn only the rotary part of
// queries and the shared key, in adjacent pairs.
#pragma once

#include <string>

#include "nn/row_context.h"
#include "runtime/parameter.h"

namespace fathom {

struct MlaShape {
  int64_t hidden_size = 0, num_attention_heads = 0;
  int64_t q_lora_rank = 0;  // 0: queries are not compressed
  int64_t kv_lora_rank = 0;
  int64_t qk_nope_head_dim = 0, qk_rope_head_dim = 0, v_head_dim = 0;
  double softmax_scale = 0;  // (nope + rope)^−1/2, times the position scaling's factor

  int64_t qk_head_dim() const { return qk_nope_head_dim + qk_rope_head_dim; }
};

class MlaAttention {
 public:
  MlaAttention(const MlaShape& shape, const std::string& prefix);

  // x [tokens, hidden_size] -> [tokens, hidden_size]
  Tensor forward(Pass& pass, const Tensor& x, const RowContext& context, int64_t layer) const;
  void list(ParameterList& out);
  int64_t cache_width() const { return shape_.kv_lora_rank + shape_.qk_rope_head_dim; }

 private:
  struct Compressed {
    Tensor q;       // [tokens, heads · (nope + rope)], rotated
    Tensor latent;  // [tokens, kv_lora_rank], normalised
    Tensor k_rope;  // [tokens, qk_rope_head_dim], rotated
  };
  Compressed compress(Pass& pass, const Tensor& x, const RowContext& context) const;
  void append(Pass& pass, const Compressed& rows, const RowContext& context, int64_t layer) const;
  Tensor attend_expanded(Pass& pass, const Compressed& rows, const RowContext& context) const;
  Tensor attend_absorbed(Pass& pass, const Tensor& q, const RowContext& context,
                         int64_t layer) const;
  // The same of many rows over a long past, whose keys and values are expanded for some heads at a
  // time: fewer multiplications.
  Tensor attend_past_expanded(Pass& pass, const Tensor& q, const RowContext& context,
                              int64_t layer) const;
  bool expands_past(const RowContext& context) const;

  MlaShape shape_;
  Parameter down_proj_;  // q_a_proj (or q_proj) over kv_a_proj_with_mqa: [q + kv_lora_rank + rope,
                         // hidden_size]
  Parameter q_a_layernorm_;   // [q_lora_rank], only with query compression
  Parameter q_b_proj_;        // [heads · (nope + rope), q_lora_rank], only with query compression
  Parameter kv_a_layernorm_;  // [kv_lora_rank]
  Parameter kv_b_proj_;       // [heads · (nope + v), kv_lora_rank]
  Parameter o_proj_;          // [hidden_size, heads · v]
};

}  // namespace fathom
