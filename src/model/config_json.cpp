#include "model/config_json.h"

#include <algorithm>
#include <limits>

#include "io/files.h"
#include "model/config_rope.h"

namespace fathom {
namespace {

[[noreturn]] void refuse(const std::string& what) { fail(ErrorCode::kModel, "config: ", what); }

int32_t token_id(const Json& value, const char* key) {
  const int64_t id = value.as_int(key);
  if (id < 0 || id > std::numeric_limits<int32_t>::max())
    refuse(concat(key, " is ", id, "; expected a token id"));
  return static_cast<int32_t>(id);
}

void read_token_id(const Json& json, const char* key, int32_t& id) {
  const Json* value = json.find(key);
  if (value != nullptr && !value->is_null()) id = token_id(*value, key);
}

// Ids that end an answer: one, a list, or none where the key is absent.
std::vector<int32_t> read_end_ids(const Json& json) {
  const Json* eos = json.find("eos_token_id");
  if (eos == nullptr || eos->is_null()) return {};
  if (!eos->is_array()) return {token_id(*eos, "eos_token_id")};
  std::vector<int32_t> ids;
  for (const Json& id : eos->items()) ids.push_back(token_id(id, "eos_token_id"));
  return ids;
}

void read_mla(const Json& json, ModelConfig& c) {
  c.q_lora_rank = json.int_or("q_lora_rank", 0);
  c.kv_lora_rank = json.int_at("kv_lora_rank");
  c.qk_nope_head_dim = json.int_at("qk_nope_head_dim");
  c.qk_rope_head_dim = json.int_at("qk_rope_head_dim");
  c.v_head_dim = json.int_at("v_head_dim");
  c.num_nextn_predict_layers = json.int_or("num_nextn_predict_layers", 0);
  c.mtp_hidden_state = json.string_or("mtp_hidden_state", "after_norm");
}

void read_experts(const Json& json, ModelConfig& c) {
  c.n_routed_experts = json.int_or("n_routed_experts", 0);
  // The library's own classes know one gating each for two of the families, and write no key of it.
  const bool v3 = c.model_type == "deepseek_v3";
  c.scoring_func = json.string_or("scoring_func", v3 ? "sigmoid" : "softmax");
  c.topk_method = json.string_or("topk_method", v3 ? "noaux_tc" : "greedy");
  if (c.n_routed_experts == 0) return;
  c.n_shared_experts = json.int_or("n_shared_experts", 0);
  c.num_experts_per_tok = json.int_at("num_experts_per_tok");
  c.moe_intermediate_size = json.int_at("moe_intermediate_size");
  c.first_k_dense_replace = json.int_or("first_k_dense_replace", 0);
  c.moe_layer_freq = json.int_or("moe_layer_freq", 1);
  c.n_group = json.int_or("n_group", 1);
  c.topk_group = json.int_or("topk_group", c.n_group);
  c.norm_topk_prob = json.bool_or("norm_topk_prob", false);
  c.routed_scaling_factor = json.double_or("routed_scaling_factor", 1);
  c.aux_loss_alpha = json.double_or("aux_loss_alpha", 0);
}

int64_t default_head_dim(const ModelConfig& c) {
  const int64_t heads = std::max<int64_t>(1, c.num_attention_heads);
  if (!c.mla() && c.hidden_size % heads != 0) {
    refuse(concat("num_attention_heads is ", heads, "; expected a divisor of hidden_size = ",
                  c.hidden_size, " where head_dim is absent"));
  }
  return c.hidden_size / heads;
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
  const int64_t head_dim = json.int_or("head_dim", 0);
  c.head_dim = head_dim != 0 ? head_dim : default_head_dim(c);
  c.torch_dtype = json.string_or("torch_dtype", json.string_or("dtype", ""));
}

// Only the form in which DeepSeek-V3 is published; what is so stored, the tensors' dtypes say.
void check_quantization(const Json& json) {
  const std::string method = json.string_or("quant_method", "");
  if (method != "fp8") {
    refuse(concat("quantization_config.quant_method is '", method,
                  "'; expected fp8 in blocks of 128 x 128 (or none)"));
  }
  const std::string format = json.string_or("fmt", "e4m3");
  if (format != "e4m3") refuse(concat("quantization_config.fmt is '", format, "'; expected e4m3"));
  const Json* block = json.find("weight_block_size");
  const Json expected = Json::array({Json(int64_t{128}), Json(int64_t{128})});
  if (block == nullptr || block->dump() != expected.dump()) {
    refuse(concat("quantization_config.weight_block_size is ",
                  block == nullptr ? "absent" : block->dump(), "; expected ", expected.dump()));
  }
}

void refuse_architecture(const Json& json, const ModelFamily& family) {
  const Json* list = json.find("architectures");
  if (list == nullptr || list->is_null() || list->items("architectures").empty()) return;
  const std::string& name = list->at(0).as_string("architectures[0]");
  if (name != family.architecture) {
    refuse(concat("architectures[0] is ", name, "; expected ", family.architecture,
                  " with model_type ", family.model_type));
  }
}

// Keys that change the arithmetic and that no published model of the family sets.
void refuse_other_arithmetic(const Json& json, const ModelConfig& c) {
  const std::string act = json.string_or("hidden_act", "silu");
  if (act != "silu") refuse(concat("hidden_act is '", act, "'; expected silu"));
  for (const char* key : {"attention_bias", "mlp_bias", "use_sliding_window"}) {
    if (json.bool_or(key, false)) refuse(concat(key, " is true; expected false or absent"));
  }
  if (!json.bool_or("rope_interleave", true)) {
    refuse("rope_interleave is false; expected true or absent: the rotary channels of " +
           c.model_type + " lie in pairs");
  }
  const double part = json.double_or("partial_rotary_factor", 1);
  if (part != 1) refuse(concat("partial_rotary_factor is ", part, "; expected 1 or absent"));
  if (c.model_type == "deepseek" && c.head_dim * c.num_attention_heads != c.hidden_size) {
    refuse(concat("head_dim is ", c.head_dim, "; expected hidden_size / num_attention_heads = ",
                  c.hidden_size / c.num_attention_heads, " with model_type deepseek"));
  }
  const Json* quantised = json.find("quantization_config");
  if (quantised != nullptr && !quantised->is_null()) check_quantization(*quantised);
}

}  // namespace

ModelConfig parse_config(const Json& json, const std::string& origin) {
  ModelConfig c;
  try {
    if (!json.is_object()) refuse("expected a JSON object");
    c.model_type = json.string_at("model_type");
    const ModelFamily& family = model_family(c.model_type);
    refuse_architecture(json, family);
    read_common(json, c);
    read_token_id(json, "bos_token_id", c.bos_token_id);
    read_token_id(json, "pad_token_id", c.pad_token_id);
    c.eos_token_ids = read_end_ids(json);
    read_rope(json, c);
    if (family.mla) read_mla(json, c);
    read_experts(json, c);
    check_config(c);
    refuse_other_arithmetic(json, c);
  } catch (const Error& error) {
    fail(ErrorCode::kModel, error.what(), " (", origin, ")");
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

void join_generation_config(ModelConfig& config, const Json& json) {
  read_token_id(json, "bos_token_id", config.bos_token_id);
  read_token_id(json, "pad_token_id", config.pad_token_id);
  for (const int32_t id : read_end_ids(json)) {
    auto& ids = config.eos_token_ids;
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  }
}

}  // namespace fathom
