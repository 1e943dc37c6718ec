#include "model/model_config.h"

#include <cmath>

#include "base/error.h"

namespace fathom {
namespace {

void expect(bool holds, const char* key, const std::string& value, const std::string& expectation) {
  if (!holds) fail(ErrorCode::kModel, "config: ", key, " is ", value, "; expected ", expectation);
}

void positive(const char* key, int64_t value) {
  expect(value > 0, key, std::to_string(value), "a positive number");
}

void check_mla(const ModelConfig& c) {
  positive("kv_lora_rank", c.kv_lora_rank);
  positive("qk_nope_head_dim", c.qk_nope_head_dim);
  positive("qk_rope_head_dim", c.qk_rope_head_dim);
  positive("v_head_dim", c.v_head_dim);
  expect(c.q_lora_rank >= 0, "q_lora_rank", std::to_string(c.q_lora_rank),
         "null or a positive number");
  expect(c.qk_rope_head_dim % 2 == 0, "qk_rope_head_dim", std::to_string(c.qk_rope_head_dim),
         "an even number");
}

void check_experts(const ModelConfig& c) {
  positive("moe_intermediate_size", c.moe_intermediate_size);
  positive("moe_layer_freq", c.moe_layer_freq);
  expect(c.num_experts_per_tok > 0 && c.num_experts_per_tok <= c.n_routed_experts,
         "num_experts_per_tok", std::to_string(c.num_experts_per_tok),
         concat("between 1 and n_routed_experts = ", c.n_routed_experts));
  expect(c.scoring_func == "sigmoid", "scoring_func", c.scoring_func,
         "sigmoid (the only one supported so far)");
  expect(c.topk_method == "noaux_tc", "topk_method", c.topk_method,
         "noaux_tc (the only one supported so far)");
  expect(c.n_group > 0 && c.n_routed_experts % c.n_group == 0, "n_group", std::to_string(c.n_group),
         concat("a divisor of n_routed_experts = ", c.n_routed_experts));
  expect(c.topk_group > 0 && c.topk_group <= c.n_group, "topk_group", std::to_string(c.topk_group),
         concat("between 1 and n_group = ", c.n_group));
  expect(c.topk_group * (c.n_routed_experts / c.n_group) >= c.num_experts_per_tok, "topk_group",
         std::to_string(c.topk_group), "enough groups to hold num_experts_per_tok experts");
  expect(c.n_group == 1 || c.n_routed_experts / c.n_group >= 2, "n_group",
         std::to_string(c.n_group), "groups of at least two experts");
}

int64_t attention_weights(const ModelConfig& c) {
  const int64_t h = c.hidden_size, heads = c.num_attention_heads;
  if (!c.mla())
    return h * c.head_dim * (heads + 2 * c.num_key_value_heads) + heads * c.head_dim * h;
  const int64_t q = heads * c.qk_head_dim();
  const int64_t query = c.q_lora_rank > 0 ? c.q_lora_rank * (h + q) : h * q;
  return query + h * (c.kv_lora_rank + c.qk_rope_head_dim) +
         c.kv_lora_rank * heads * (c.qk_nope_head_dim + c.v_head_dim) + heads * c.v_head_dim * h;
}

int64_t norm_weights(const ModelConfig& c) {
  const int64_t latent = c.mla() ? c.kv_lora_rank + c.q_lora_rank : 0;
  return 2 * c.hidden_size + latent;
}

int64_t feed_forward_weights(const ModelConfig& c, bool experts, bool active) {
  if (!experts) return 3 * c.hidden_size * c.intermediate_size;
  const int64_t one = 3 * c.hidden_size * c.moe_intermediate_size;
  const int64_t used = active ? c.num_experts_per_tok : c.n_routed_experts;
  return one * (used + c.n_shared_experts) + c.n_routed_experts * c.hidden_size;
}

int64_t layer_weights(const ModelConfig& c, bool experts, bool active) {
  const int64_t bias = experts ? c.n_routed_experts : 0;
  return attention_weights(c) + norm_weights(c) + feed_forward_weights(c, experts, active) + bias;
}

}  // namespace

int64_t ModelConfig::expert_layers() const {
  int64_t count = n_routed_experts > 0 ? num_nextn_predict_layers : 0;
  for (int64_t i = 0; i < num_hidden_layers; ++i) count += expert_layer(i) ? 1 : 0;
  return count;
}

double ModelConfig::softmax_scale() const {
  return 1 / std::sqrt(static_cast<double>(qk_head_dim()));
}

ParameterCount count_parameters(const ModelConfig& c) {
  ParameterCount count;
  const int64_t table = c.vocab_size * c.hidden_size;
  const int64_t shared = (c.tie_word_embeddings ? 1 : 2) * table + c.hidden_size;
  count.total = count.active = shared;
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    count.total += layer_weights(c, c.expert_layer(i), false);
    count.active += layer_weights(c, c.expert_layer(i), true);
  }
  const int64_t joint = 2 * c.hidden_size * c.hidden_size +
                        3 * c.hidden_size;  // eh_proj, enorm, hnorm, shared_head.norm
  const bool experts = c.n_routed_experts > 0;
  count.multi_token = c.num_nextn_predict_layers * (layer_weights(c, experts, false) + joint);
  count.multi_token_active = c.num_nextn_predict_layers * (layer_weights(c, experts, true) + joint);
  return count;
}

double forward_flops(const ModelConfig& c) {
  int64_t weights = c.vocab_size * c.hidden_size;
  for (int64_t i = 0; i < c.num_hidden_layers; ++i) {
    weights += attention_weights(c) + feed_forward_weights(c, c.expert_layer(i), true);
  }
  return 2.0 * static_cast<double>(weights);
}

double multi_token_flops(const ModelConfig& c) {
  const int64_t weights = attention_weights(c) +
                          feed_forward_weights(c, c.n_routed_experts > 0, true) +
                          2 * c.hidden_size * c.hidden_size + c.vocab_size * c.hidden_size;
  return 2.0 * static_cast<double>(c.num_nextn_predict_layers * weights);
}

void check_config(const ModelConfig& c) {
  expect(c.model_type == "llama" || c.model_type == "deepseek_v3", "model_type", c.model_type,
         "llama or deepseek_v3");
  positive("vocab_size", c.vocab_size);
  positive("hidden_size", c.hidden_size);
  positive("num_hidden_layers", c.num_hidden_layers);
  positive("num_attention_heads", c.num_attention_heads);
  positive("intermediate_size", c.intermediate_size);
  positive("max_position_embeddings", c.max_position_embeddings);
  expect(c.rms_norm_eps > 0, "rms_norm_eps", concat(c.rms_norm_eps), "a positive number");
  expect(c.rope_theta > 0, "rope_theta", concat(c.rope_theta), "a positive number");
  expect(c.num_nextn_predict_layers == 0 || (c.num_nextn_predict_layers == 1 && c.mla()),
         "num_nextn_predict_layers", std::to_string(c.num_nextn_predict_layers),
         "0, or 1 with model_type deepseek_v3");
  if (c.mla()) {
    check_mla(c);
  } else {
    positive("num_key_value_heads", c.num_key_value_heads);
    expect(c.num_attention_heads % c.num_key_value_heads == 0, "num_key_value_heads",
           std::to_string(c.num_key_value_heads),
           concat("a divisor of num_attention_heads = ", c.num_attention_heads));
    positive("head_dim", c.head_dim);
    expect(c.head_dim % 2 == 0, "head_dim", std::to_string(c.head_dim), "an even number");
    expect(c.n_routed_experts == 0, "n_routed_experts", std::to_string(c.n_routed_experts),
           "none with model_type llama");
  }
  if (c.n_routed_experts > 0) check_experts(c);
}

}  // namespace fathom
