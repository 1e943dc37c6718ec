#include "nn/self_attention.h"

#include "nn/make_parameter.h"
#include "ops/attention/attention.h"
#include "ops/columns/columns.h"
#include "ops/linear/linear.h"
#include "ops/paged_attention/paged_attention.h"

namespace fathom {

SelfAttention::SelfAttention(const SelfAttentionShape& shape, const std::string& prefix)
    : shape_(shape) {
  const int64_t q = shape.num_attention_heads * shape.head_dim,
                kv = shape.num_key_value_heads * shape.head_dim;
  qkv_proj_ = stacked_parameter(prefix + "qkv_proj.weight", shape.hidden_size,
                                {{prefix + "q_proj.weight", q},
                                 {prefix + "k_proj.weight", kv},
                                 {prefix + "v_proj.weight", kv}});
  if (shape.qkv_bias) {
    qkv_bias_ = joined_vectors(
        prefix + "qkv_proj.bias",
        {{prefix + "q_proj.bias", q}, {prefix + "k_proj.bias", kv}, {prefix + "v_proj.bias", kv}});
  }
  o_proj_ = matrix_parameter(prefix + "o_proj.weight", shape.hidden_size, q);
}

AttentionShape SelfAttention::attention_shape() const {
  return {shape_.num_attention_heads, shape_.num_key_value_heads, shape_.head_dim, shape_.head_dim,
          static_cast<float>(shape_.softmax_scale)};
}

Tensor SelfAttention::forward(Pass& pass, const Tensor& x, const RowContext& context,
                              int64_t layer) const {
  const int64_t q_width = shape_.num_attention_heads * shape_.head_dim;
  const int64_t kv_width = shape_.num_key_value_heads * shape_.head_dim;
  const RopeShape rotated{shape_.num_attention_heads + shape_.num_key_value_heads, shape_.head_dim,
                          0, shape_.head_dim, false};
  // Queries and keys lie side by side, so one rotation turns both.
  const Parameter* bias = shape_.qkv_bias ? &qkv_bias_ : nullptr;
  std::vector<Tensor> parts =
      split_columns(pass, linear(pass, x, qkv_proj_, bias), {q_width + kv_width, kv_width});
  std::vector<Tensor> qk = split_columns(
      pass, rope(pass, std::move(parts[0]), context.angles, rotated), {q_width, kv_width});
  const Tensor& v = parts[1];  // [tokens, kv_heads · head_dim]
  Tensor mixed = context.cache
                     ? attend_pages(pass, qk[0], qk[1], v, context, layer)
                     : attention(pass, qk[0], qk[1], v, context.starts, attention_shape());
  return linear(pass, mixed, o_proj_);
}

Tensor SelfAttention::attend_pages(Pass& pass, const Tensor& q, const Tensor& k, const Tensor& v,
                                   const RowContext& context, int64_t layer) const {
  const int64_t kv_width = shape_.num_key_value_heads * shape_.head_dim;
  View cache = context.cache->layer(layer).write();
  pass.kernels.scatter_rows(pass.stream, k.read(), context.slots.read(),
                            cache.columns(0, kv_width));
  pass.kernels.scatter_rows(pass.stream, v.read(), context.slots.read(),
                            cache.columns(kv_width, kv_width));
  if (!context.continues) return attention(pass, q, k, v, context.starts, attention_shape());
  const PagedShape paged{attention_shape(), kv_width, context.cache->shape().page_tokens};
  return paged_attention(pass, q, context.cache->layer(layer), context.spans, paged);
}

void SelfAttention::list(ParameterList& out) {
  out.push_back(&qkv_proj_);
  if (shape_.qkv_bias) out.push_back(&qkv_bias_);
  out.push_back(&o_proj_);
}

}  // namespace fathom
