// Writing config.json.
#include "model/config_json.h"
#include "model/config_rope.h"

namespace fathom {
namespace {

void write_mla(const ModelConfig& c, Json& json) {
  json["q_lora_rank"] = c.q_lora_rank > 0 ? Json(c.q_lora_rank) : Json();
  json["kv_lora_rank"] = c.kv_lora_rank;
  json["qk_nope_head_dim"] = c.qk_nope_head_dim;
  json["qk_rope_head_dim"] = c.qk_rope_head_dim;
  json["qk_head_dim"] = c.qk_head_dim();
  json["v_head_dim"] = c.v_head_dim;
  json["rope_interleave"] = true;
  // A key that other families do not have, except where it was read.
  if (c.model_type == "deepseek_v3" || json.contains("num_nextn_predict_layers"))
    json["num_nextn_predict_layers"] = c.num_nextn_predict_layers;
  if (c.mtp_hidden_state != "after_norm" || json.contains("mtp_hidden_state"))
    json["mtp_hidden_state"] = c.mtp_hidden_state;
}

// A model without experts still needs the keys that the published class reads: all its layers are
// "first dense" ones.
void write_experts(const ModelConfig& c, Json& json) {
  const bool experts = c.n_routed_experts > 0;
  if (experts) {
    json["n_routed_experts"] = c.n_routed_experts;
    json["n_shared_experts"] = c.n_shared_experts;
    json["num_experts_per_tok"] = c.num_experts_per_tok;
    json["moe_intermediate_size"] = c.moe_intermediate_size;
  }
  json["first_k_dense_replace"] = experts ? c.first_k_dense_replace : c.num_hidden_layers;
  if (!experts) return;
  json["moe_layer_freq"] = c.moe_layer_freq;
  if (c.topk_method != "greedy") {
    json["n_group"] = c.n_group;
    json["topk_group"] = c.topk_group;
  }
  json["norm_topk_prob"] = c.norm_topk_prob;
  json["routed_scaling_factor"] = c.routed_scaling_factor;
  json["scoring_func"] = c.scoring_func;
  json["topk_method"] = c.topk_method;
  json["aux_loss_alpha"] = c.aux_loss_alpha;
  json["seq_aux"] = true;
}

Json end_ids_json(const std::vector<int32_t>& ids) {
  if (ids.empty()) return {};
  return ids.size() == 1 ? Json(ids[0]) : Json(ids);
}

}  // namespace

Json config_to_json(const ModelConfig& c, const std::string& torch_dtype) {
  Json json =
      c.source_json.empty() ? Json::object() : parse_json(c.source_json, "stored config.json");
  const ModelFamily& family = model_family(c.model_type);
  json["architectures"] = Json::array({family.architecture});
  json["model_type"] = c.model_type;
  json["vocab_size"] = c.vocab_size;
  json["hidden_size"] = c.hidden_size;
  json["num_hidden_layers"] = c.num_hidden_layers;
  json["num_attention_heads"] = c.num_attention_heads;
  json["num_key_value_heads"] = c.mla() ? c.num_attention_heads : c.num_key_value_heads;
  json["intermediate_size"] = c.intermediate_size;
  json["hidden_act"] = "silu";
  json["max_position_embeddings"] = c.max_position_embeddings;
  json["rms_norm_eps"] = c.rms_norm_eps;
  write_rope(c, json);
  if (!family.qkv_bias) json["attention_bias"] = false;
  json["attention_dropout"] = 0.0;
  json["initializer_range"] = c.initializer_range;
  json["tie_word_embeddings"] = c.tie_word_embeddings;
  if (family.mla) {
    write_mla(c, json);
  } else {
    json["head_dim"] = c.head_dim;
  }
  if (family.experts) write_experts(c, json);
  json["bos_token_id"] = c.bos_token_id;
  json["eos_token_id"] = end_ids_json(c.eos_token_ids);
  if (c.pad_token_id >= 0) json["pad_token_id"] = c.pad_token_id;
  json["torch_dtype"] = torch_dtype;
  if (json.contains("dtype")) json["dtype"] = torch_dtype;
  json.erase("quantization_config");  // of the weights it was read beside
  json["use_cache"] = true;
  return json;
}

}  // namespace fathom
