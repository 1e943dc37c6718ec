#include "model/presets.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "model/published_presets.h"

namespace fathom {
namespace {

ModelConfig dense(int64_t layers, int64_t width, int64_t heads, int64_t inner, int64_t vocab,
                  int64_t context) {
  ModelConfig c;
  c.model_type = "llama";
  c.num_hidden_layers = layers;
  c.hidden_size = width;
  c.num_attention_heads = c.num_key_value_heads = heads;
  c.head_dim = width / heads;
  c.intermediate_size = inner;
  c.vocab_size = vocab;
  c.max_position_embeddings = context;
  return c;
}

struct MlaDims {
  int64_t q, kv, nope, rope, v;
};

ModelConfig with_mla(ModelConfig c, const MlaDims& dims) {
  c.model_type = "deepseek_v3";
  c.q_lora_rank = dims.q;
  c.kv_lora_rank = dims.kv;
  c.qk_nope_head_dim = dims.nope;
  c.qk_rope_head_dim = dims.rope;
  c.v_head_dim = dims.v;
  c.head_dim = 0;
  return c;
}

ModelConfig with_experts(ModelConfig c, int64_t routed, int64_t shared, int64_t chosen,
                         int64_t inner) {
  c.n_routed_experts = routed;
  c.n_shared_experts = shared;
  c.num_experts_per_tok = chosen;
  c.moe_intermediate_size = inner;
  c.first_k_dense_replace = 1;
  return c;
}

// Four layers, four heads, width 128: the size of the public character-level baselines on a CPU.
ModelConfig llm_nano() {
  ModelConfig c = dense(4, 128, 4, 344, 0, 64);
  c.initializer_range = 0.02;
  return c;
}

// The model of the demo: every part of DeepSeek-V3 at under a million weights (docs/demo.md).
ModelConfig v3_nano() {
  ModelConfig c =
      with_experts(with_mla(dense(3, 128, 4, 256, 0, 256), {48, 32, 16, 8, 16}), 8, 1, 2, 64);
  c.rope_theta = 100;
  c.initializer_range = 0.06;
  c.num_nextn_predict_layers = 1;
  return c;
}

// A V3-style model for plain text that trains in minutes on two cores.
ModelConfig v3_text() {
  ModelConfig c =
      with_experts(with_mla(dense(4, 192, 6, 512, 0, 256), {96, 64, 32, 16, 32}), 8, 1, 2, 128);
  c.rope_theta = 10000;
  c.num_nextn_predict_layers = 1;
  return c;
}

const MlaDims kTinyMla = {96, 64, 32, 16, 32};
const MlaDims kSmallMla = {192, 128, 64, 32, 64};

ModelConfig tiny() { return dense(6, 192, 6, 512, 4096, 256); }
ModelConfig small() { return dense(8, 384, 6, 1536, 8192, 512); }

ModelConfig with_inner(ModelConfig c, int64_t inner) {
  c.intermediate_size = inner;
  return c;
}

std::vector<ModelPreset> make_presets() {
  std::vector<ModelPreset> presets = {
      {"llm-nano", "dense, 4 layers of 128: characters of real text in a minute", llm_nano()},
      {"v3-nano", "MLA, 8 experts + 1 shared, multi-token head: the demo's model", v3_nano()},
      {"v3-text",
       "MLA, 8 experts + 1 shared, multi-token head, 4 layers of 192: characters of real text",
       v3_text()},
      {"tiny", "dense, 6 layers of 192, vocabulary 4096", tiny()},
      {"small", "dense, 8 layers of 384, vocabulary 8192", small()},
      {"tiny-moe", "tiny with MLA and 16 experts (4 chosen) + 1 shared",
       with_experts(with_mla(tiny(), kTinyMla), 16, 1, 4, 128)},
      {"small-moe", "small with MLA and 16 experts (4 chosen) + 1 shared",
       with_experts(with_mla(small(), kSmallMla), 16, 1, 4, 384)},
      {"tiny-moe128", "tiny-moe with 128 experts",
       with_experts(with_mla(tiny(), kTinyMla), 128, 1, 4, 128)},
      {"small-moe128", "small-moe with 128 experts",
       with_experts(with_mla(small(), kSmallMla), 128, 1, 4, 384)},
      {"tiny-twin", "dense twin of tiny-moe: equal active size",
       with_mla(with_inner(tiny(), 640), kTinyMla)},
      {"small-twin", "dense twin of small-moe: equal active size",
       with_mla(with_inner(small(), 1920), kSmallMla)},
  };
  for (ModelPreset& preset : published_presets()) presets.push_back(std::move(preset));
  return presets;
}

}  // namespace

const std::vector<ModelPreset>& model_presets() {
  static const std::vector<ModelPreset> presets = make_presets();
  return presets;
}

bool has_preset(const std::string& name) {
  const auto& presets = model_presets();
  return std::any_of(presets.begin(), presets.end(),
                     [&](const ModelPreset& preset) { return preset.name == name; });
}

const ModelPreset& model_preset(const std::string& name) {
  std::vector<std::string> names;
  for (const ModelPreset& preset : model_presets()) {
    if (preset.name == name) return preset;
    names.push_back(preset.name);
  }
  fail(ErrorCode::kUsage, "unknown preset '", name, "'", did_you_mean(name, names),
       " (fathom init --list shows all)");
}

}  // namespace fathom
