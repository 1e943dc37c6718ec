#include "model/decoder.h"

#include <algorithm>

#include "model/initial_weights.h"
#include "nn/make_parameter.h"
#include "ops/add/add.h"
#include "ops/columns/columns.h"
#include "ops/embedding/embedding.h"
#include "ops/linear/linear.h"
#include "ops/packed_weight/packed_weight.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/select_rows/select_rows.h"
#include "runtime/tape.h"

namespace fathom {
namespace {

std::string layer_prefix(int64_t layer) { return concat("model.layers.", layer, "."); }

Attention make_attention(const ModelConfig& c, const std::string& prefix) {
  if (c.mla()) {
    return MlaAttention({c.hidden_size, c.num_attention_heads, c.q_lora_rank, c.kv_lora_rank,
                         c.qk_nope_head_dim, c.qk_rope_head_dim, c.v_head_dim, c.softmax_scale()},
                        prefix);
  }
  return SelfAttention({c.hidden_size, c.num_attention_heads, c.num_key_value_heads, c.head_dim,
                        c.qkv_bias(), c.softmax_scale()},
                       prefix);
}

ScoringFunc scoring_func(const ModelConfig& c) {
  return c.scoring_func == "softmax" ? ScoringFunc::kSoftmax : ScoringFunc::kSigmoid;
}

TopkMethod topk_method(const ModelConfig& c) {
  if (c.topk_method == "greedy") return TopkMethod::kGreedy;
  return c.topk_method == "noaux_tc" ? TopkMethod::kNoauxTc : TopkMethod::kGroupLimitedGreedy;
}

FeedForwardKind make_feed_forward(const ModelConfig& c, bool experts, const std::string& prefix) {
  if (!experts) return FeedForward(c.hidden_size, c.intermediate_size, prefix);
  ExpertsShape shape;
  shape.hidden_size = c.hidden_size;
  shape.moe_intermediate_size = c.moe_intermediate_size;
  shape.n_shared_experts = c.n_shared_experts;
  shape.route = {c.n_routed_experts, c.num_experts_per_tok, c.n_group,
                 c.topk_group,       c.norm_topk_prob,      c.routed_scaling_factor,
                 c.aux_loss_alpha,   scoring_func(c),       topk_method(c)};
  return Experts(shape, prefix);
}

// A multi-token head's layer lies after the decoder layers and has experts wherever the model has
// any.
bool has_experts(const ModelConfig& c, int64_t layer) {
  return layer < c.num_hidden_layers ? c.expert_layer(layer) : c.n_routed_experts > 0;
}

}  // namespace

DecoderLayer::DecoderLayer(const ModelConfig& config, int64_t layer, size_t expert_index)
    : eps_(static_cast<float>(config.rms_norm_eps)),
      layer_(layer),
      expert_index_(expert_index),
      input_layernorm_(
          vector_parameter(layer_prefix(layer) + "input_layernorm.weight", config.hidden_size)),
      post_attention_layernorm_(vector_parameter(
          layer_prefix(layer) + "post_attention_layernorm.weight", config.hidden_size)),
      attention_(make_attention(config, layer_prefix(layer) + "self_attn.")),
      feed_forward_(
          make_feed_forward(config, has_experts(config, layer), layer_prefix(layer) + "mlp.")) {}

Tensor DecoderLayer::forward(Pass& pass, const Tensor& x, const RowContext& context) const {
  const Tensor attended = std::visit(
      [&](const auto& kind) {
        const Tensor normed = rms_norm(pass, x, input_layernorm_, eps_, ReadBy::kProducts);
        return kind.forward(pass, normed, context, layer_);
      },
      attention_);
  const Tensor middle = add(pass, x, attended);
  const Experts* experts = std::get_if<Experts>(&feed_forward_);  // their router is exact
  const Tensor normed = rms_norm(pass, middle, post_attention_layernorm_, eps_,
                                 experts ? ReadBy::kAnyOp : ReadBy::kProducts);
  const Tensor fed = experts ? experts->forward(pass, normed, context, expert_index_)
                             : std::get<FeedForward>(feed_forward_).forward(pass, normed);
  return add(pass, middle, fed);
}

void DecoderLayer::list(ParameterList& out) {
  out.push_back(&input_layernorm_);
  std::visit([&](auto& kind) { kind.list(out); }, attention_);
  out.push_back(&post_attention_layernorm_);
  std::visit([&](auto& kind) { kind.list(out); }, feed_forward_);
}

MultiTokenHead::MultiTokenHead(const ModelConfig& config, int64_t index, size_t expert_index)
    : enorm(vector_parameter(layer_prefix(config.num_hidden_layers + index) + "enorm.weight",
                             config.hidden_size)),
      hnorm(vector_parameter(layer_prefix(config.num_hidden_layers + index) + "hnorm.weight",
                             config.hidden_size)),
      eh_proj(matrix_parameter(layer_prefix(config.num_hidden_layers + index) + "eh_proj.weight",
                               config.hidden_size, 2 * config.hidden_size)),
      layer(config, config.num_hidden_layers + index, expert_index),
      norm(vector_parameter(
          layer_prefix(config.num_hidden_layers + index) + "shared_head.norm.weight",
          config.hidden_size)) {}

Decoder::Decoder(const ModelConfig& config)
    : config_(config),
      rotary_{scaled_rope_frequencies(config.rope_scaling, config.rope_theta, config.rotary_dim()),
              config.rope_scaling.cos_sin_factor(), config.max_position_embeddings},
      embed_tokens_(
          matrix_parameter("model.embed_tokens.weight", config.vocab_size, config.hidden_size)),
      norm_(vector_parameter("model.norm.weight", config.hidden_size)),
      lm_head_(matrix_parameter("lm_head.weight", config.vocab_size, config.hidden_size)) {
  check_config(config_);
  size_t expert_index = 0;
  for (int64_t i = 0; i < config.num_hidden_layers; ++i) {
    layers_.emplace_back(config_, i, expert_index);
    if (config_.expert_layer(i)) ++expert_index;
  }
  for (int64_t i = 0; i < config.num_nextn_predict_layers; ++i)
    multi_token_heads_.emplace_back(config_, i, expert_index++);
}

Tensor Decoder::run_layer(Pass& pass, const DecoderLayer& layer, const Tensor& x,
                          const RowContext& context) const {
  if (!recompute_ || pass.tape == nullptr) return layer.forward(pass, x, context);
  // The context's row tables are copied into the closure: they must live until backward.
  return recompute(pass, x, [&layer, context](Pass& inner, const Tensor& input) {
    return layer.forward(inner, input, context);
  });
}

Tensor Decoder::forward(Pass& pass, std::span<const int32_t> ids, const TokenLayout& layout,
                        KvCache* cache, std::span<const float> sequence_share) const {
  return forward_states(pass, ids, layout, cache, sequence_share).hidden;
}

MainStates Decoder::forward_states(Pass& pass, std::span<const int32_t> ids,
                                   const TokenLayout& layout, KvCache* cache,
                                   std::span<const float> sequence_share) const {
  FATHOM_CHECK(static_cast<int64_t>(ids.size()) == layout.tokens(), "decoder: ", ids.size(),
               " ids for ", layout.tokens(), " rows");
  Tensor x = embedding(pass, ids, embed_tokens_);  // [tokens, hidden_size]
  RowContext context = make_row_context(pass, layout, cache, rotary_, x.dtype());
  context.sequence_share = sequence_share;
  for (const DecoderLayer& layer : layers_) x = run_layer(pass, layer, x, context);
  const Tensor hidden = rms_norm(pass, x, norm_, static_cast<float>(config_.rms_norm_eps));
  return {hidden, config_.mtp_hidden_state == "before_norm" ? x : hidden};
}

Tensor Decoder::multi_token_forward(Pass& pass, const Tensor& states, const MultiTokenTargets& rows,
                                    KvCache* cache, std::span<const float> sequence_share) const {
  FATHOM_CHECK(!multi_token_heads_.empty(),
               "decoder: this model has no multi-token head (num_nextn_predict_layers is 0)");
  const MultiTokenHead& head = multi_token_heads_.front();
  FATHOM_CHECK(pass.routes == nullptr || pass.routes->replay,
               "decoder: routes are written down for the main model only");
  const auto eps = static_cast<float>(config_.rms_norm_eps);
  const Tensor next = rms_norm(pass, embedding(pass, rows.ids, embed_tokens_), head.enorm, eps);
  const Tensor state = rms_norm(pass, select_rows(pass, states, rows.rows), head.hnorm, eps);
  const Tensor joined =
      linear(pass, concat_columns(pass, next, state), head.eh_proj);  // [rows, hidden_size]
  RowContext context = make_row_context(pass, rows.layout, cache, rotary_, states.dtype());
  context.sequence_share = sequence_share;
  return rms_norm(pass, run_layer(pass, head.layer, joined, context), head.norm, eps);
}

Tensor Decoder::logits(Pass& pass, const Tensor& hidden) const {
  return linear(pass, hidden, lm_head());
}

ParameterList Decoder::parameters() {
  ParameterList list{&embed_tokens_};
  for (DecoderLayer& layer : layers_) layer.list(list);
  list.push_back(&norm_);
  if (!config_.tie_word_embeddings) list.push_back(&lm_head_);
  for (MultiTokenHead& head : multi_token_heads_) {
    list.insert(list.end(), {&head.enorm, &head.hnorm, &head.eh_proj});
    head.layer.list(list);
    list.push_back(&head.norm);
  }
  return list;
}

void Decoder::pack_weights(Pass& pass) const {
  ParameterList list;
  for (const DecoderLayer& layer : layers_)
    const_cast<DecoderLayer&>(layer).list(list);  // lists only
  for (const Parameter* p : list) {
    if (p->declared.rank() > 1) pack_weight(pass, *p);
  }
  pack_weight(pass, lm_head());
}

std::vector<Experts*> Decoder::expert_layers() {
  std::vector<Experts*> layers;
  for (DecoderLayer& layer : layers_) {
    if (Experts* experts = layer.experts()) layers.push_back(experts);
  }
  for (MultiTokenHead& head : multi_token_heads_) {
    if (Experts* experts = head.layer.experts()) layers.push_back(experts);
  }
  return layers;
}

bool Decoder::weights_are_near() const {
  constexpr int64_t kNearBytes = int64_t{1} << 26;
  return count_parameters(config_).total * static_cast<int64_t>(sizeof(float)) <= kNearBytes;
}

void Decoder::allocate(Allocator& memory, DType dtype) {
  for (Parameter* p : parameters()) {
    if (!p->stored) p->value = Tensor(memory, p->declared, dtype);
  }
}

void Decoder::require_gradients(bool on) {
  for (Parameter* p : parameters()) {
    if (!p->trained) continue;
    if (!on) {
      p->grad = nullptr;
    } else if (p->grad == nullptr) {
      p->grad = std::make_shared<ParameterGrad>();
    }
  }
}

void Decoder::initialize(uint64_t seed) {
  for (Parameter* p : parameters()) {
    float* values = p->value.mutable_data<float>();
    for (const ParameterPart& part : p->parts) {
      initial_rows(part, seed, config_.initializer_range, 0, part.shape.rows(),
                   values + p->first_element(part));
    }
  }
}

std::unique_ptr<KvCache> Decoder::make_cache(Allocator& memory, int64_t pages,
                                             int64_t page_tokens) const {
  return std::make_unique<KvCache>(
      memory, KvCacheShape{config_.cache_layers(), config_.cache_width(), page_tokens}, pages);
}

}  // namespace fathom
