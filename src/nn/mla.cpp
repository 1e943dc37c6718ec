#include "nn/mla.h"

#include "nn/make_parameter.h"
#include "ops/attention/attention.h"
#include "ops/columns/columns.h"
#include "ops/linear/linear.h"
#include "ops/mla_keys/mla_keys.h"
#include "ops/paged_attention/paged_attention.h"
#include "ops/rms_norm/rms_norm.h"

namespace fathom {
namespace {

constexpr float kLatentNormEps =
    1e-6f;  // fixed in the official classes, whatever rms_norm_eps says

}  // namespace

MlaAttention::MlaAttention(const MlaShape& shape, const std::string& prefix) : shape_(shape) {
  const int64_t heads = shape.num_attention_heads, q_width = heads * shape.qk_head_dim();
  const bool compressed = shape.q_lora_rank > 0;
  down_proj_ = stacked_parameter(
      prefix + "down_proj.weight", shape.hidden_size,
      {{prefix + (compressed ? "q_a_proj.weight" : "q_proj.weight"),
        compressed ? shape.q_lora_rank : q_width},
       {prefix + "kv_a_proj_with_mqa.weight", shape.kv_lora_rank + shape.qk_rope_head_dim}});
  if (compressed) {
    q_a_layernorm_ = vector_parameter(prefix + "q_a_layernorm.weight", shape.q_lora_rank);
    q_b_proj_ = matrix_parameter(prefix + "q_b_proj.weight", q_width, shape.q_lora_rank);
  }
  kv_a_layernorm_ = vector_parameter(prefix + "kv_a_layernorm.weight", shape.kv_lora_rank);
  kv_b_proj_ =
      matrix_parameter(prefix + "kv_b_proj.weight",
                       heads * (shape.qk_nope_head_dim + shape.v_head_dim), shape.kv_lora_rank);
  o_proj_ = matrix_parameter(prefix + "o_proj.weight", shape.hidden_size, heads * shape.v_head_dim);
}

Tensor MlaAttention::forward(Pass& pass, const Tensor& x, const RowContext& context,
                             int64_t layer) const {
  const Compressed rows = compress(pass, x, context);
  if (context.cache) append(pass, rows, context, layer);
  const Tensor mixed = context.continues
                           ? attend_absorbed(pass, rows.q, context, layer)  // keys stay compressed
                           : attend_expanded(pass, rows, context);
  return linear(pass, mixed, o_proj_);  // mixed [tokens, heads · v]
}

MlaAttention::Compressed MlaAttention::compress(Pass& pass, const Tensor& x,
                                                const RowContext& context) const {
  const int64_t heads = shape_.num_attention_heads, rope_dim = shape_.qk_rope_head_dim;
  const bool compressed = shape_.q_lora_rank > 0;
  const int64_t q_width = compressed ? shape_.q_lora_rank : heads * shape_.qk_head_dim();
  std::vector<Tensor> parts =
      split_columns(pass, linear(pass, x, down_proj_), {q_width, shape_.kv_lora_rank, rope_dim});
  Tensor q = std::move(parts[0]);
  if (compressed) {
    q = rms_norm(pass, q, q_a_layernorm_, kLatentNormEps, ReadBy::kProducts);
    q = linear(pass, q, q_b_proj_);
  }
  const RopeShape query_rope{heads, shape_.qk_head_dim(), shape_.qk_nope_head_dim, rope_dim, true};
  const RopeShape key_rope{1, rope_dim, 0, rope_dim, true};
  Compressed rows;
  rows.q = rope(pass, std::move(q), context.angles, query_rope);
  rows.latent = rms_norm(pass, parts[1], kv_a_layernorm_, kLatentNormEps);
  rows.k_rope = rope(pass, std::move(parts[2]), context.angles, key_rope);
  return rows;
}

void MlaAttention::append(Pass& pass, const Compressed& rows, const RowContext& context,
                          int64_t layer) const {
  View cache = context.cache->layer(layer).write();
  const int64_t latent = shape_.kv_lora_rank;
  pass.kernels.scatter_rows(pass.stream, rows.latent.read(), context.slots.read(),
                            cache.columns(0, latent));
  pass.kernels.scatter_rows(pass.stream, rows.k_rope.read(), context.slots.read(),
                            cache.columns(latent, shape_.qk_rope_head_dim));
}

Tensor MlaAttention::attend_expanded(Pass& pass, const Compressed& rows,
                                     const RowContext& context) const {
  const int64_t heads = shape_.num_attention_heads;
  const Tensor kv = linear(pass, rows.latent, kv_b_proj_);  // [tokens, heads · (nope + v)]
  const MlaKeys keys =
      mla_keys(pass, kv, rows.k_rope, heads, shape_.qk_nope_head_dim, shape_.v_head_dim);
  const AttentionShape shape{heads, heads, shape_.qk_head_dim(), shape_.v_head_dim,
                             static_cast<float>(shape_.softmax_scale)};
  return attention(pass, rows.q, keys.k, keys.v, context.starts, shape);
}

// Per head: q_lat = W_UKᵀ q_nope; scores and context on the latent; out = W_UV · context
// (text-model notes 3.6).
Tensor MlaAttention::attend_absorbed(Pass& pass, const Tensor& q, const RowContext& context,
                                     int64_t layer) const {
  FATHOM_CHECK(pass.tape == nullptr, "mla: the absorbed form reads a cache and has no gradient");
  const int64_t heads = shape_.num_attention_heads, nope = shape_.qk_nope_head_dim,
                rope_dim = shape_.qk_rope_head_dim;
  const int64_t latent = shape_.kv_lora_rank, value = shape_.v_head_dim, width = latent + rope_dim;
  const ConstView kv_b = kv_b_proj_.whole();
  Tensor q_latent = pass.empty({q.rows(), heads * width}, q.dtype());
  View into = q_latent.write();
  for (int64_t h = 0; h < heads; ++h) {
    const ConstView head = q.read().columns(h * shape_.qk_head_dim(), shape_.qk_head_dim());
    pass.kernels.matmul_nn(pass.stream, head.columns(0, nope),
                           kv_b.rows_at(h * (nope + value), nope), into.columns(h * width, latent),
                           false);
    pass.kernels.copy(pass.stream, head.columns(nope, rope_dim),
                      into.columns(h * width + latent, rope_dim));
  }
  const PagedShape paged{{heads, 1, width, latent, static_cast<float>(shape_.softmax_scale)},
                         0,
                         context.cache->shape().page_tokens};
  const Tensor mixed =
      paged_attention(pass, q_latent, context.cache->layer(layer), context.spans, paged);
  Tensor out = pass.empty({q.rows(), heads * value}, q.dtype());
  View result = out.write();
  for (int64_t h = 0; h < heads; ++h) {
    pass.kernels.matmul_nt(pass.stream, mixed.read().columns(h * latent, latent),
                           kv_b.rows_at(h * (nope + value) + nope, value),
                           result.columns(h * value, value), false);
  }
  return out;
}

void MlaAttention::list(ParameterList& out) {
  out.push_back(&down_proj_);
  if (shape_.q_lora_rank > 0) {
    out.push_back(&q_a_layernorm_);
    out.push_back(&q_b_proj_);
  }
  out.push_back(&kv_a_layernorm_);
  out.push_back(&kv_b_proj_);
  out.push_back(&o_proj_);
}

}  // namespace fathom
