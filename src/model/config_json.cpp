#include "model/config_json.h"

#include <algorithm>

#include "io/files.h"

namespace fathom {
namespace {

const std::vector<std::string> kFamilies = {"llama", "deepseek_v3"};

[[noreturn]] void refuse(const std::string& origin, const std::string& what) {
  fail(ErrorCode::kModel, "config: ", what, " (", origin, ")");
}

void read_token_ids(const Json& json, ModelConfig& c, const std::string& origin) {
  c.bos_token_id = static_cast<int32_t>(json.int_or("bos_token_id", 0));
  c.pad_token_id = static_cast<int32_t>(json.int_or("pad_token_id", -1));
  const Json* eos = json.find("eos_token_id");
  if (eos == nullptr || eos->is_null()) return;
  c.eos_token_ids.clear();
  if (eos->is_array()) {
    for (const Json& id : eos->items())
      c.eos_token_ids.push_back(static_cast<int32_t>(id.as_int("eos_token_id")));
  } else if (eos->is_int()) {
    c.eos_token_ids.push_back(static_cast<int32_t>(eos->as_int()));
  } else {
    refuse(origin, "eos_token_id is neither a number nor a list of numbers");
  }
}

// Plain RoPE only: null, absent, or the "default" object of newer writers, which may hold
// rope_theta.
void read_rope(const Json& json, ModelConfig& c, const std::string& origin) {
  c.rope_theta = json.double_or("rope_theta", 10000);
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const Json* rope = json.find(key);
    if (rope == nullptr || rope->is_null()) continue;
    if (!rope->is_object()) refuse(origin, concat(key, " is neither null nor an object"));
    const std::string kind = rope->string_or("rope_type", rope->string_or("type", "default"));
    if (kind != "default")
      refuse(origin, concat(key, " asks for '", kind, "'; only plain RoPE is supported so far"));
    c.rope_theta = rope->double_or("rope_theta", c.rope_theta);
  }
}

void read_mla(const Json& json, ModelConfig& c) {
  c.q_lora_rank = json.int_or("q_lora_rank", 0);
  c.kv_lora_rank = json.int_at("kv_lora_rank");
  c.qk_nope_head_dim = json.int_at("qk_nope_head_dim");
  c.qk_rope_head_dim = json.int_at("qk_rope_head_dim");
  c.v_head_dim = json.int_at("v_head_dim");
  c.num_nextn_predict_layers = json.int_or("num_nextn_predict_layers", 0);
}

void read_experts(const Json& json, ModelConfig& c) {
  c.n_routed_experts = json.int_or("n_routed_experts", 0);
  if (c.n_routed_experts == 0) return;
  c.n_shared_experts = json.int_or("n_shared_experts", 0);
  c.num_experts_per_tok = json.int_at("num_experts_per_tok");
  c.moe_intermediate_size = json.int_at("moe_intermediate_size");
  c.first_k_dense_replace = json.int_or("first_k_dense_replace", 0);
  c.moe_layer_freq = json.int_or("moe_layer_freq", 1);
  c.n_group = std::max<int64_t>(1, json.int_or("n_group", 1));
  c.topk_group = std::max<int64_t>(1, json.int_or("topk_group", 1));
  c.norm_topk_prob = json.bool_or("norm_topk_prob", true);
  c.routed_scaling_factor = json.double_or("routed_scaling_factor", 1);
  // transformers' own class knows one gating for this family and writes neither key.
  c.scoring_func = json.string_or("scoring_func", "sigmoid");
  c.topk_method = json.string_or("topk_method", "noaux_tc");
  c.aux_loss_alpha = json.double_or("aux_loss_alpha", 0);
}

void read_common(const Json& json, ModelConfig& c) {
  c.vocab_size = json.int_at("vocab_size");
  c.hidden_size = json.int_at("hidden_size");
  c.num_hidden_layers = json.int_at("num_hidden_layers");
  c.num_attention_heads = json.int_at("num_attention_heads");
  c.num_key_value_heads = json.int_or("num_key_value_heads", c.num_attention_heads);
  c.intermediate_size = json.int_at("intermediate_size");
  c.max_position_embeddings = json.int_or("max_position_embeddings", 4096);
  c.rms_norm_eps = json.double_or("rms_norm_eps", 1e-6);
  c.initializer_range = json.double_or("initializer_range", 0.02);
  c.tie_word_embeddings = json.bool_or("tie_word_embeddings", false);
  const int64_t heads = std::max<int64_t>(1, c.num_attention_heads);
  c.head_dim = json.int_or("head_dim", c.hidden_size / heads);
}

// Only the form in which DeepSeek-V3 is published; what is so stored, the tensors' dtypes say.
void check_quantization(const Json& json, const std::string& origin) {
  const std::string method = json.string_or("quant_method", "");
  if (method != "fp8") {
    refuse(origin, concat("quantization_config.quant_method is '", method,
                          "'; expected fp8 in blocks of 128 x 128 (or none)"));
  }
  const std::string format = json.string_or("fmt", "e4m3");
  if (format != "e4m3")
    refuse(origin, concat("quantization_config.fmt is '", format, "'; expected e4m3"));
  const Json* block = json.find("weight_block_size");
  const Json expected = Json::array({Json(int64_t{128}), Json(int64_t{128})});
  if (block == nullptr || block->dump() != expected.dump()) {
    refuse(origin,
           concat("quantization_config.weight_block_size is ",
                  block == nullptr ? "absent" : block->dump(), "; expected ", expected.dump()));
  }
}

void refuse_what_is_missing(const Json& json, const std::string& origin) {
  const std::string act = json.string_or("hidden_act", "silu");
  if (act != "silu") refuse(origin, concat("hidden_act is '", act, "'; expected silu"));
  if (json.bool_or("attention_bias", false))
    refuse(origin, "attention_bias is true; attention biases are not supported so far");
  if (json.bool_or("mlp_bias", false))
    refuse(origin, "mlp_bias is true; feed-forward biases are not supported so far");
  const Json* quantised = json.find("quantization_config");
  if (quantised != nullptr && !quantised->is_null()) check_quantization(*quantised, origin);
}

}  // namespace

ModelConfig parse_config(const Json& json, const std::string& origin) {
  if (!json.is_object()) refuse(origin, "expected a JSON object");
  ModelConfig c;
  try {
    c.model_type = json.string_at("model_type");
    if (std::find(kFamilies.begin(), kFamilies.end(), c.model_type) == kFamilies.end()) {
      refuse(origin, concat("model_type '", c.model_type,
                            "' is not supported; supported are llama and deepseek_v3"));
    }
    read_common(json, c);
    read_token_ids(json, c, origin);
    read_rope(json, c, origin);
    refuse_what_is_missing(json, origin);
    if (c.mla()) {
      read_mla(json, c);
      read_experts(json, c);
    }
    check_config(c);
  } catch (const Error& error) {
    if (std::string(error.what()).find(origin) != std::string::npos)
      throw Error(ErrorCode::kModel, error.what());
    refuse(origin, error.what());
  }
  c.source_json = json.dump();
  return c;
}

ModelConfig read_config(const std::string& path) {
  if (!exists(path))
    fail(ErrorCode::kModel, "model: no config.json at ", path,
         "; a model folder holds config.json and *.safetensors");
  return parse_config(parse_json(read_file(path), path, ErrorCode::kModel), path);
}

namespace {

void write_mla(const ModelConfig& c, Json& json) {
  json["q_lora_rank"] = c.q_lora_rank > 0 ? Json(c.q_lora_rank) : Json();
  json["kv_lora_rank"] = c.kv_lora_rank;
  json["qk_nope_head_dim"] = c.qk_nope_head_dim;
  json["qk_rope_head_dim"] = c.qk_rope_head_dim;
  json["qk_head_dim"] = c.qk_head_dim();
  json["v_head_dim"] = c.v_head_dim;
  json["rope_interleave"] = true;
  json["num_nextn_predict_layers"] = c.num_nextn_predict_layers;
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
  json["n_group"] = c.n_group;
  json["topk_group"] = c.topk_group;
  json["norm_topk_prob"] = c.norm_topk_prob;
  json["routed_scaling_factor"] = c.routed_scaling_factor;
  json["scoring_func"] = c.scoring_func;
  json["topk_method"] = c.topk_method;
  json["aux_loss_alpha"] = c.aux_loss_alpha;
  json["seq_aux"] = true;
}

}  // namespace

Json config_to_json(const ModelConfig& c, const std::string& torch_dtype) {
  Json json =
      c.source_json.empty() ? Json::object() : parse_json(c.source_json, "stored config.json");
  json["architectures"] = Json::array({c.mla() ? "DeepseekV3ForCausalLM" : "LlamaForCausalLM"});
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
  json["rope_theta"] = c.rope_theta;
  json["rope_scaling"] = Json();
  json["attention_bias"] = false;
  json["attention_dropout"] = 0.0;
  json["initializer_range"] = c.initializer_range;
  json["tie_word_embeddings"] = c.tie_word_embeddings;
  if (c.mla()) {
    write_mla(c, json);
    write_experts(c, json);
  } else {
    json["head_dim"] = c.head_dim;
  }
  json["bos_token_id"] = c.bos_token_id;
  json["eos_token_id"] =
      c.eos_token_ids.size() == 1 ? Json(c.eos_token_ids[0]) : Json(c.eos_token_ids);
  if (c.pad_token_id >= 0) json["pad_token_id"] = c.pad_token_id;
  json["torch_dtype"] = torch_dtype;
  json["use_cache"] = true;
  return json;
}

}  // namespace fathom
