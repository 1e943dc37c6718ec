// One typed value that describes any model of the family, in the published config.json keys.
//
// Parsing rules and refusals are in config_json.h; presets in presets.h. Derived values are
// functions, so that two fields can never disagree.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/rope_scaling.h"

namespace fathom {

// What the classes of one model_type have in common, whatever the sizes.
struct ModelFamily {
  const char* model_type;
  const char* architecture;  // architectures[0]
  bool mla;                  // else mha, gqa or mqa
  bool qkv_bias;             // biases on q_proj, k_proj and v_proj
  bool experts;              // experts from first_k_dense_replace on; else dense throughout
};
std::span<const ModelFamily> model_families();
// Throws Error(kModel) with the names of all where there is no such family.
const ModelFamily& model_family(const std::string& model_type);

struct ModelConfig {
  std::string model_type = "llama";  // one of model_families()
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;
  int64_t head_dim = 0;           // llama; hidden_size / num_attention_heads where absent
  int64_t intermediate_size = 0;  // dense feed-forward
  int64_t max_position_embeddings = 4096;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000;
  RopeScaling rope_scaling;
  double initializer_range = 0.02;
  bool tie_word_embeddings = false;

  // MLA
  int64_t q_lora_rank = 0;  // 0: queries are not compressed
  int64_t kv_lora_rank = 0, qk_nope_head_dim = 0, qk_rope_head_dim = 0, v_head_dim = 0;

  // experts
  int64_t n_routed_experts = 0, n_shared_experts = 0, num_experts_per_tok = 0,
          moe_intermediate_size = 0;
  int64_t first_k_dense_replace = 0, moe_layer_freq = 1;
  int64_t n_group = 1, topk_group = 1;
  bool norm_topk_prob = true;
  double routed_scaling_factor = 1;
  std::string scoring_func = "sigmoid";  // or softmax
  std::string topk_method = "noaux_tc";  // or greedy, group_limited_greedy
  double aux_loss_alpha = 0;             // sequence-wise balance loss in training

  int64_t num_nextn_predict_layers = 0;  // multi-token heads, 0 or 1
  // What a multi-token head reads of the main model: its state after the final norm, or
  // before_norm. No published key: deployed programs differ, and the weights do not tell.
  std::string mtp_hidden_state = "after_norm";

  int32_t bos_token_id = 0;
  std::vector<int32_t> eos_token_ids = {1};  // may be empty: nothing ends an answer
  int32_t pad_token_id = -1;                 // −1: none
  std::string torch_dtype;  // how the file says the weights are stored; empty where it does not

  std::string source_json;  // the config.json this was read from, so that unknown keys survive
                            // writing; or empty

  bool mla() const { return model_type == "deepseek_v2" || model_type == "deepseek_v3"; }
  bool qkv_bias() const { return model_type == "qwen2"; }
  bool correction_bias() const { return topk_method == "noaux_tc"; }
  bool expert_layer(int64_t layer) const {
    return n_routed_experts > 0 && layer >= first_k_dense_replace && layer % moe_layer_freq == 0;
  }
  int64_t expert_layers() const;  // of the main model and the multi-token heads
  int64_t qk_head_dim() const { return mla() ? qk_nope_head_dim + qk_rope_head_dim : head_dim; }
  int64_t rotary_dim() const { return mla() ? qk_rope_head_dim : head_dim; }
  double softmax_scale() const;
  // Elements that one token takes in one layer's cache.
  int64_t cache_width() const {
    return mla() ? kv_lora_rank + qk_rope_head_dim : 2 * num_key_value_heads * head_dim;
  }
  // Layers with a cache: decoder layers, then multi-token heads.
  int64_t cache_layers() const { return num_hidden_layers + num_nextn_predict_layers; }
  // What the main model's cache takes for one token, at `element_bytes` each.
  int64_t cache_bytes_per_token(int64_t element_bytes) const {
    return num_hidden_layers * cache_width() * element_bytes;
  }
};

struct ParameterCount {
  int64_t total = 0, active = 0;  // main model; active: used by one token, input embedding included
  int64_t multi_token = 0,
          multi_token_active = 0;  // the heads' own, shared embedding and head not counted again
};
ParameterCount count_parameters(const ModelConfig& config);

// Matrix multiplications of one token's forward pass in the main model / in the heads, two per
// weight, without attention's score products (those depend on length: attention_flops).
double forward_flops(const ModelConfig& config);
double multi_token_flops(const ModelConfig& config);

// Throws Error(kModel) naming key, value and expectation for anything contradictory.
void check_config(const ModelConfig& config);

}  // namespace fathom
