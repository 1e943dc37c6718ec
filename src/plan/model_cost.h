// What one token costs a model: parameters, cache and floating-point operations, from the config
// alone.
//
// Lengths are in tokens. "Causal" counts the keys that a token of a full sequence reads on average,
// half of the sequence. Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/model_config.h"

namespace fathom {

// What tokens of a sequence cost in training is asked for at these lengths: pre-training, and the
// two ends of DeepSeek-V3's context extension.
inline constexpr int64_t kPlannedLengths[] = {4096, 32768, 131072};

struct ModelSize {
  int64_t total = 0;
  int64_t active = 0;                    // used by one token, input embedding included
  int64_t active_without_embedding = 0;  // the table from which a token reads one row left out
  int64_t non_embedding = 0;             // total without input embedding and head
  int64_t multi_token = 0;               // of the multi-token module alone
  int64_t multi_token_active = 0;
  int64_t multi_token_with_tables = 0;  // as a folder that repeats embedding and head stores it
  int64_t multi_token_active_with_tables = 0;
};
ModelSize model_size(const ModelConfig& config);

// Weights that one token is multiplied with, the head and multi-token modules left out.
int64_t active_matmul_weights(const ModelConfig& config);
// Of one layer of attention with its latent norms and biases, of a feed-forward part `inner` wide,
// of one routed expert.
int64_t attention_layer_weights(const ModelConfig& config);
int64_t feed_forward_weights(const ModelConfig& config, int64_t inner);
int64_t expert_weights(const ModelConfig& config);
// Layers with experts in the main model, and the weights of all their routed experts.
int64_t main_expert_layers(const ModelConfig& config);
int64_t routed_expert_weights(const ModelConfig& config);

// Of the main model: 2 W + 2 V d + L h (d_qk + d_v) S.
double forward_flops_at(const ModelConfig& config, int64_t sequence_tokens);
// Three forward passes: backward costs two.
double train_flops_at(const ModelConfig& config, int64_t sequence_tokens);
// The same with the multi-token modules, each with its own pass through the head.
double train_flops_with_mtp_at(const ModelConfig& config, int64_t sequence_tokens);
// One new token after `context_tokens`; MLA in its absorbed form, where each head reads the latent:
// 2 W + 2 V d + L h 2 S (2 kv_lora_rank + qk_rope_head_dim).
double decode_flops_at(const ModelConfig& config, int64_t context_tokens);
double decode_attention_flops_at(const ModelConfig& config, int64_t context_tokens);

// What a token's way to its experts takes on the network, for one layer and one node it is sent to:
// out in fp8 with an f32 scale for 128 channels, back in bf16.
struct ExpertExchange {
  int64_t dispatch_bytes = 0, combine_bytes = 0;
  int64_t nodes = 0;  // at most, where groups limit them; else the experts of a token
};
ExpertExchange expert_exchange(const ModelConfig& config);  // of a model with experts

// What attention of another kind would keep for a token at the same layers and heads.
struct CacheAlternative {
  std::string name;          // "mha", "gqa-8", "mqa", "mla"
  int64_t elements = 0;      // a token, all layers
  bool is_this_one = false;  // the kind that the config has
};
std::vector<CacheAlternative> cache_alternatives(const ModelConfig& config);
int64_t cache_elements_per_token(const ModelConfig& config);
// In the layout of DeepSeek-V3.2: the latent in FP8 with an f32 scale for 128, rotary keys in bf16.
// 0 where there is no latent.
int64_t fp8_cache_bytes_per_token(const ModelConfig& config);

// What DeepSeek-V2's published saving of cache compares: its latent, quantised, with the grouped
// queries of the 67B model in bf16.
struct CacheClaim {
  int64_t bits = 6;                              // an element of V2's cache as it was served
  int64_t quantised_bytes = 0, dense_bytes = 0;  // a token
  double published_saving = 0;                   // 0.933
  double saving_at_equal_bits = 0;               // both in bf16
};
CacheClaim cache_claim();

}  // namespace fathom
