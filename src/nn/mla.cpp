#include "nn/mla.h"

#include <algorithm>

#include "nn/make_parameter.h"
#include "ops/attention/attention.h"
#include "ops/columns/columns.h"
#include "ops/linear/linear.h"
#include "ops/mla_keys/mla_keys.h"
#include "ops/paged_attention/paged_attention.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/select_rows/select_rows.h"

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
  const Tensor mixed = !context.continues      ? attend_expanded(pass, rows, context)
                       : expands_past(context) ? attend_past_expanded(pass, rows.q, context, layer)
                                               : attend_absorbed(pass, rows.q, context, layer);
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

// Of one sequence's rows, where expanding its past costs less than attending to it compressed.
bool MlaAttention::expands_past(const RowContext& context) const {
  if (context.spans.size() != 1) return false;
  const int64_t latent = shape_.kv_lora_rank;
  const int64_t compressed = 2 * latent + shape_.qk_rope_head_dim;  // for each row, key and head
  const int64_t expanded = shape_.qk_head_dim() + shape_.v_head_dim;
  const int64_t expansion = latent * (shape_.qk_nope_head_dim + shape_.v_head_dim);
  return context.spans.front().rows * (compressed - expanded) > expansion;
}

Tensor MlaAttention::attend_past_expanded(Pass& pass, const Tensor& q, const RowContext& context,
                                          int64_t layer) const {
  FATHOM_CHECK(pass.tape == nullptr, "mla: keys of a cache have no gradient");
  const int64_t heads = shape_.num_attention_heads, nope = shape_.qk_nope_head_dim,
                rope_dim = shape_.qk_rope_head_dim, value = shape_.v_head_dim,
                latent = shape_.kv_lora_rank, qk = shape_.qk_head_dim();
  const PagedSpan& span = context.spans.front();
  const int64_t page_tokens = context.cache->shape().page_tokens;
  std::vector<int32_t> places;
  for (int64_t i = 0; i < span.length; ++i)
    places.push_back(
        static_cast<int32_t>(span.pages[i / page_tokens] * page_tokens + i % page_tokens));
  const Tensor past = select_rows(pass, context.cache->layer(layer), places);
  // So many heads at a time that their keys and values take an eighth of the sequence's cache, or
  // all heads of a short one.
  constexpr int64_t kFewBytes = int64_t{16} << 20;
  const int64_t head_bytes = (nope + 2 * value + qk) * static_cast<int64_t>(sizeof(float));
  const int64_t eighth = context.cache->shape().layers * context.cache->shape().width *
                         static_cast<int64_t>(sizeof(float)) / 8;
  const int64_t group = std::clamp<int64_t>(
      std::max(eighth, kFewBytes / std::max<int64_t>(1, span.length)) / head_bytes, 1, heads);
  const ConstView kv_b = kv_b_proj_.whole();
  const int32_t first_page = 0;
  Tensor out = pass.empty({q.rows(), heads * value}, q.dtype());
  View result = out.write();
  for (int64_t begin = 0; begin < heads; begin += group) {
    const int64_t count = std::min(group, heads - begin);
    Tensor expanded = pass.empty({span.length, count * (nope + value)}, q.dtype());
    pass.kernels.matmul_nt(pass.stream, past.read().columns(0, latent),
                           kv_b.rows_at(begin * (nope + value), count * (nope + value)),
                           expanded.write(), false);
    Tensor rows = pass.empty({span.length, count * (qk + value)}, q.dtype());  // keys, then values
    View into = rows.write();
    for (int64_t h = 0; h < count; ++h) {
      const ConstView head = expanded.read().columns(h * (nope + value), nope + value);
      pass.kernels.copy(pass.stream, head.columns(0, nope), into.columns(h * qk, nope));
      pass.kernels.copy(pass.stream, past.read().columns(latent, rope_dim),
                        into.columns(h * qk + nope, rope_dim));
      pass.kernels.copy(pass.stream, head.columns(nope, value),
                        into.columns(count * qk + h * value, value));
    }
    const PagedShape shape{{count, count, qk, value, static_cast<float>(shape_.softmax_scale)},
                           count * qk,
                           span.length};
    const PagedSpan one_page{0, span.rows, span.length, &first_page};
    pass.kernels.paged_attention(pass.stream, q.read().columns(begin * qk, count * qk), rows.read(),
                                 {&one_page, 1}, shape,
                                 result.columns(begin * value, count * value));
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
