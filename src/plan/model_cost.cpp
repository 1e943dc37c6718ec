#include "plan/model_cost.h"

#include <algorithm>

#include "base/text.h"
#include "model/presets.h"
#include "plan/as_double.h"

namespace fathom {
namespace {

int64_t table_weights(const ModelConfig& c) { return c.vocab_size * c.hidden_size; }

// Products of scores and values of one layer: d_qk + d_v a head and key, two operations each, half
// of the keys.
double causal_attention_flops(const ModelConfig& c, int64_t sequence_tokens) {
  const int64_t value_dim = c.mla() ? c.v_head_dim : c.head_dim;
  return as_double(c.num_attention_heads * (c.qk_head_dim() + value_dim)) *
         as_double(sequence_tokens);
}

// Heads as wide as those of the model, all of the position in them.
int64_t plain_head_dim(const ModelConfig& c) { return c.mla() ? c.v_head_dim : c.head_dim; }

}  // namespace

ModelSize model_size(const ModelConfig& c) {
  const ParameterCount count = count_parameters(c);
  const int64_t tables = (c.tie_word_embeddings ? 1 : 2) * table_weights(c);
  ModelSize size;
  size.total = count.total;
  size.active = count.active;
  // A tied table is the head too, and the head is multiplied whole.
  size.active_without_embedding = count.active - (c.tie_word_embeddings ? 0 : table_weights(c));
  size.non_embedding = count.total - tables;
  size.multi_token = count.multi_token;
  size.multi_token_active = count.multi_token_active;
  if (count.multi_token > 0) {
    size.multi_token_with_tables = count.multi_token + 2 * table_weights(c);
    size.multi_token_active_with_tables = count.multi_token_active + 2 * table_weights(c);
  }
  return size;
}

int64_t active_matmul_weights(const ModelConfig& c) {
  return static_cast<int64_t>(forward_flops(c) / 2) - table_weights(c);
}

int64_t attention_layer_weights(const ModelConfig& c) {
  const int64_t d = c.hidden_size, heads = c.num_attention_heads;
  if (!c.mla()) {
    const int64_t read = heads + 2 * c.num_key_value_heads;  // heads of q, k and v
    return d * c.head_dim * (read + heads) + (c.qkv_bias() ? c.head_dim * read : 0);
  }
  const int64_t query = heads * c.qk_head_dim();
  const int64_t rank = c.q_lora_rank;
  return (rank > 0 ? rank * (d + query) + rank : d * query) +
         d * (c.kv_lora_rank + c.qk_rope_head_dim) + c.kv_lora_rank +
         c.kv_lora_rank * heads * (c.qk_nope_head_dim + c.v_head_dim) + heads * c.v_head_dim * d;
}

int64_t feed_forward_weights(const ModelConfig& c, int64_t inner) {
  return 3 * c.hidden_size * inner;
}

int64_t expert_weights(const ModelConfig& c) {
  return c.n_routed_experts > 0 ? feed_forward_weights(c, c.moe_intermediate_size) : 0;
}

int64_t main_expert_layers(const ModelConfig& c) {
  return c.n_routed_experts > 0 ? c.expert_layers() - c.num_nextn_predict_layers : 0;
}

int64_t routed_expert_weights(const ModelConfig& c) {
  return main_expert_layers(c) * c.n_routed_experts * expert_weights(c);
}

double forward_flops_at(const ModelConfig& c, int64_t sequence_tokens) {
  return forward_flops(c) +
         as_double(c.num_hidden_layers) * causal_attention_flops(c, sequence_tokens);
}

double train_flops_at(const ModelConfig& c, int64_t sequence_tokens) {
  return 3 * forward_flops_at(c, sequence_tokens);
}

double train_flops_with_mtp_at(const ModelConfig& c, int64_t sequence_tokens) {
  const double attention =
      as_double(c.num_nextn_predict_layers) * causal_attention_flops(c, sequence_tokens);
  return train_flops_at(c, sequence_tokens) + 3 * (multi_token_flops(c) + attention);
}

double decode_attention_flops_at(const ModelConfig& c, int64_t context_tokens) {
  const int64_t width = c.mla() ? 2 * c.kv_lora_rank + c.qk_rope_head_dim : 2 * c.head_dim;
  return as_double(c.num_hidden_layers * c.num_attention_heads * 2 * width) *
         as_double(context_tokens);
}

double decode_flops_at(const ModelConfig& c, int64_t context_tokens) {
  return forward_flops(c) + decode_attention_flops_at(c, context_tokens);
}

ExpertExchange expert_exchange(const ModelConfig& c) {
  ExpertExchange exchange;
  exchange.dispatch_bytes = c.hidden_size + 4 * ((c.hidden_size + 127) / 128);
  exchange.combine_bytes = 2 * c.hidden_size;
  const bool limited = c.topk_method != "greedy" && c.n_group > 1;
  exchange.nodes = limited ? std::min(c.topk_group, c.num_experts_per_tok) : c.num_experts_per_tok;
  return exchange;
}

int64_t cache_elements_per_token(const ModelConfig& c) {
  return c.num_hidden_layers * c.cache_width();
}

std::vector<CacheAlternative> cache_alternatives(const ModelConfig& c) {
  const int64_t head = 2 * plain_head_dim(c) * c.num_hidden_layers;
  std::vector<CacheAlternative> kinds;
  const auto add = [&](const std::string& name, int64_t key_value_heads) {
    const bool same = !c.mla() && c.num_key_value_heads == key_value_heads;
    kinds.push_back({name, head * key_value_heads, same});
  };
  add("mha", c.num_attention_heads);
  constexpr int64_t kUsualGroups = 8;  // of the 67B model and of most others
  const int64_t groups =
      c.mla() || c.num_key_value_heads == c.num_attention_heads || c.num_key_value_heads == 1
          ? kUsualGroups
          : c.num_key_value_heads;
  if (groups < c.num_attention_heads) add(concat("gqa-", groups), groups);
  if (c.num_attention_heads > 1) add("mqa", 1);
  if (c.mla()) kinds.push_back({"mla", cache_elements_per_token(c), true});
  return kinds;
}

int64_t fp8_cache_bytes_per_token(const ModelConfig& c) {
  if (!c.mla()) return 0;
  const int64_t scales = (c.kv_lora_rank + 127) / 128;
  return c.num_hidden_layers * (c.kv_lora_rank + 4 * scales + 2 * c.qk_rope_head_dim);
}

CacheClaim cache_claim() {
  const ModelConfig& v2 = model_preset("v2").config;
  CacheClaim claim;
  claim.quantised_bytes = cache_elements_per_token(v2) * claim.bits / 8;
  claim.dense_bytes = model_preset("llm-67b").config.cache_bytes_per_token(2);
  const double dense = as_double(claim.dense_bytes);
  claim.published_saving = 1 - as_double(claim.quantised_bytes) / dense;
  claim.saving_at_equal_bits = 1 - as_double(v2.cache_bytes_per_token(2)) / dense;
  return claim;
}

}  // namespace fathom
