#include "model/model_config.h"

#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"

namespace fathom {
namespace {

constexpr std::array<ModelFamily, 5> kFamilies = {{
    {"llama", "LlamaForCausalLM", false, false, false},
    {"qwen2", "Qwen2ForCausalLM", false, true, false},
    {"deepseek", "DeepseekForCausalLM", false, false, true},
    {"deepseek_v2", "DeepseekV2ForCausalLM", true, false, true},
    {"deepseek_v3", "DeepseekV3ForCausalLM", true, false, true},
}};

void expect(bool holds, const char* key, const std::string& value, const std::string& expectation) {
  if (!holds) fail(ErrorCode::kModel, "config: ", key, " is ", value, "; expected ", expectation);
}

void positive(const char* key, int64_t value) {
  expect(value > 0, key, std::to_string(value), "a positive number");
}

struct Limited {
  const char* key;
  int64_t value, most;
};

// Far beyond any published model, and so small that weights, bytes and operations of the largest
// are counted in 63 bits.
void check_limits(const ModelConfig& c) {
  constexpr int64_t kWidth = 1 << 17, kPositions = std::numeric_limits<int32_t>::max();
  const Limited limits[] = {
      {"vocab_size", c.vocab_size, 1 << 24},
      {"hidden_size", c.hidden_size, kWidth},
      {"num_hidden_layers", c.num_hidden_layers, 1 << 10},
      {"num_attention_heads", c.num_attention_heads, 1 << 12},
      {"head_dim", c.head_dim, kWidth},
      {"intermediate_size", c.intermediate_size, 1 << 20},
      {"max_position_embeddings", c.max_position_embeddings, kPositions},
      {"rope_scaling.original_max_position_embeddings",
       c.rope_scaling.original_max_position_embeddings, kPositions},
      {"q_lora_rank", c.q_lora_rank, kWidth},
      {"kv_lora_rank", c.kv_lora_rank, kWidth},
      {"qk_nope_head_dim", c.qk_nope_head_dim, kWidth},
      {"qk_rope_head_dim", c.qk_rope_head_dim, kWidth},
      {"v_head_dim", c.v_head_dim, kWidth},
      {"n_routed_experts", c.n_routed_experts, 1 << 14},
      {"n_shared_experts", c.n_shared_experts, 1 << 14},
      {"moe_intermediate_size", c.moe_intermediate_size, kWidth},
  };
  for (const auto& [key, value, most] : limits)
    expect(value <= most, key, std::to_string(value), concat("at most ", most));
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

void check_dense_attention(const ModelConfig& c) {
  positive("num_key_value_heads", c.num_key_value_heads);
  expect(c.num_attention_heads % c.num_key_value_heads == 0, "num_key_value_heads",
         std::to_string(c.num_key_value_heads),
         concat("a divisor of num_attention_heads = ", c.num_attention_heads));
  positive("head_dim", c.head_dim);
  expect(c.head_dim % 2 == 0, "head_dim", std::to_string(c.head_dim), "an even number");
}

// Settings become f32, which holds none beyond 3e38.
bool fits_f32(double value) { return std::abs(value) <= 1e30; }

void check_rope(const ModelConfig& c) {
  const RopeScaling& s = c.rope_scaling;
  expect(c.rope_theta > 0 && fits_f32(c.rope_theta), "rope_theta", concat(c.rope_theta),
         "a positive number");
  if (s.kind == RopeKind::kPlain) return;
  expect(s.factor >= 1 && fits_f32(s.factor), "rope_scaling.factor", concat(s.factor),
         "1 or more: how many times the context is longer than in pre-training");
  if (s.kind != RopeKind::kYarn && s.kind != RopeKind::kLlama3) return;
  positive("rope_scaling.original_max_position_embeddings", s.original_max_position_embeddings);
  if (s.kind == RopeKind::kLlama3) {
    expect(s.low_freq_factor > 0, "rope_scaling.low_freq_factor", concat(s.low_freq_factor),
           "a positive number");
    expect(s.high_freq_factor > s.low_freq_factor && fits_f32(s.high_freq_factor),
           "rope_scaling.high_freq_factor", concat(s.high_freq_factor),
           concat("more than low_freq_factor = ", s.low_freq_factor));
    return;
  }
  expect(c.rope_theta > 1, "rope_theta", concat(c.rope_theta), "more than 1 with rope_type yarn");
  expect(s.beta_slow > 0, "rope_scaling.beta_slow", concat(s.beta_slow), "a positive number");
  expect(s.beta_fast >= s.beta_slow && fits_f32(s.beta_fast), "rope_scaling.beta_fast",
         concat(s.beta_fast), concat("at least beta_slow = ", s.beta_slow));
  constexpr double kMostMscale = 1e6;  // published: 0.707 and 1
  for (const auto& [key, value] : {std::pair("rope_scaling.mscale", s.mscale),
                                   std::pair("rope_scaling.mscale_all_dim", s.mscale_all_dim)}) {
    expect(value >= 0 && value <= kMostMscale, key, concat(value),
           concat("a number from 0 to ", kMostMscale));
  }
}

// The gates of each official class; another library would run a folder that mixes them as one of
// these.
void check_gate(const ModelConfig& c) {
  const bool v3 = c.model_type == "deepseek_v3";
  expect(c.scoring_func == (v3 ? "sigmoid" : "softmax"), "scoring_func", c.scoring_func,
         concat(v3 ? "sigmoid" : "softmax", " with model_type ", c.model_type));
  if (v3) {
    expect(c.topk_method == "noaux_tc", "topk_method", c.topk_method,
           "noaux_tc with model_type deepseek_v3");
  } else if (c.model_type == "deepseek_v2") {
    expect(c.topk_method == "greedy" || c.topk_method == "group_limited_greedy", "topk_method",
           c.topk_method, "greedy or group_limited_greedy with model_type deepseek_v2");
  } else {
    expect(c.topk_method == "greedy", "topk_method", c.topk_method,
           concat("greedy with model_type ", c.model_type));
  }
}

void check_groups(const ModelConfig& c) {
  expect(c.n_group > 0 && c.n_routed_experts % c.n_group == 0, "n_group", std::to_string(c.n_group),
         concat("a divisor of n_routed_experts = ", c.n_routed_experts));
  expect(c.topk_group > 0 && c.topk_group <= c.n_group, "topk_group", std::to_string(c.topk_group),
         concat("between 1 and n_group = ", c.n_group));
  expect(c.topk_group * (c.n_routed_experts / c.n_group) >= c.num_experts_per_tok, "topk_group",
         std::to_string(c.topk_group), "enough groups to hold num_experts_per_tok experts");
  expect(c.n_group == 1 || c.topk_method != "noaux_tc" || c.n_routed_experts / c.n_group >= 2,
         "n_group", std::to_string(c.n_group), "groups of at least two experts");
}

void check_experts(const ModelConfig& c) {
  positive("moe_intermediate_size", c.moe_intermediate_size);
  positive("moe_layer_freq", c.moe_layer_freq);
  expect(c.num_experts_per_tok > 0 && c.num_experts_per_tok <= c.n_routed_experts,
         "num_experts_per_tok", std::to_string(c.num_experts_per_tok),
         concat("between 1 and n_routed_experts = ", c.n_routed_experts));
  expect(c.n_shared_experts >= 0, "n_shared_experts", std::to_string(c.n_shared_experts),
         "0 or more");
  expect(c.first_k_dense_replace >= 0, "first_k_dense_replace",
         std::to_string(c.first_k_dense_replace), "0 or more");
  expect(fits_f32(c.routed_scaling_factor) && c.routed_scaling_factor > 0, "routed_scaling_factor",
         concat(c.routed_scaling_factor), "a positive number");
  check_gate(c);
  if (c.topk_method != "greedy") check_groups(c);
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

// Norms and biases: what is added or multiplied element by element.
int64_t vector_weights(const ModelConfig& c) {
  const int64_t latent = c.mla() ? c.kv_lora_rank + c.q_lora_rank : 0;
  const int64_t bias =
      c.qkv_bias() ? c.head_dim * (c.num_attention_heads + 2 * c.num_key_value_heads) : 0;
  return 2 * c.hidden_size + latent + bias;
}

int64_t feed_forward_weights(const ModelConfig& c, bool experts, bool active) {
  if (!experts) return 3 * c.hidden_size * c.intermediate_size;
  const int64_t one = 3 * c.hidden_size * c.moe_intermediate_size;
  const int64_t used = active ? c.num_experts_per_tok : c.n_routed_experts;
  return one * (used + c.n_shared_experts) + c.n_routed_experts * c.hidden_size;
}

int64_t layer_weights(const ModelConfig& c, bool experts, bool active) {
  const int64_t bias = experts && c.correction_bias() ? c.n_routed_experts : 0;
  return attention_weights(c) + vector_weights(c) + feed_forward_weights(c, experts, active) + bias;
}

}  // namespace

std::span<const ModelFamily> model_families() { return kFamilies; }

const ModelFamily& model_family(const std::string& model_type) {
  std::string known;
  for (const ModelFamily& family : kFamilies) {
    if (family.model_type == model_type) return family;
    known += concat(known.empty() ? "" : ", ", family.model_type);
  }
  fail(ErrorCode::kModel, "config: model_type is '", model_type, "'; expected one of ", known);
}

int64_t ModelConfig::expert_layers() const {
  int64_t count = n_routed_experts > 0 ? num_nextn_predict_layers : 0;
  for (int64_t i = 0; i < num_hidden_layers; ++i) count += expert_layer(i) ? 1 : 0;
  return count;
}

double ModelConfig::softmax_scale() const {
  const double plain = 1 / std::sqrt(static_cast<double>(qk_head_dim()));
  return mla() ? plain * rope_scaling.softmax_factor() : plain;
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
  const ModelFamily& family = model_family(c.model_type);
  positive("vocab_size", c.vocab_size);
  positive("hidden_size", c.hidden_size);
  positive("num_hidden_layers", c.num_hidden_layers);
  positive("num_attention_heads", c.num_attention_heads);
  positive("intermediate_size", c.intermediate_size);
  positive("max_position_embeddings", c.max_position_embeddings);
  expect(c.rms_norm_eps > 0 && fits_f32(c.rms_norm_eps), "rms_norm_eps", concat(c.rms_norm_eps),
         "a positive number");
  check_rope(c);
  expect(c.num_nextn_predict_layers == 0 ||
             (c.num_nextn_predict_layers == 1 && c.model_type == "deepseek_v3"),
         "num_nextn_predict_layers", std::to_string(c.num_nextn_predict_layers),
         "0, or 1 with model_type deepseek_v3");
  expect(c.mtp_hidden_state == "after_norm" || c.mtp_hidden_state == "before_norm",
         "mtp_hidden_state", c.mtp_hidden_state, "after_norm or before_norm");
  if (c.mla()) {
    check_mla(c);
  } else {
    check_dense_attention(c);
  }
  expect(c.n_routed_experts >= 0, "n_routed_experts", std::to_string(c.n_routed_experts),
         "0 or more");
  expect(c.n_routed_experts == 0 || family.experts, "n_routed_experts",
         std::to_string(c.n_routed_experts), concat("none with model_type ", c.model_type));
  if (c.n_routed_experts > 0) check_experts(c);
  check_limits(c);
}

}  // namespace fathom
