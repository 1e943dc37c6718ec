#include "plan/published_runs.h"

#include <array>

#include "base/error.h"
#include "model/presets.h"

namespace fathom {
namespace {

constexpr double kTrillion = 1e12;

// 1000 steps each, of 1920 and 480 sequences (arXiv:2412.19437, 4.3).
constexpr ExtensionStage kV3Extension[] = {{32768, 1000.0 * 1920 * 32768},
                                           {131072, 1000.0 * 480 * 131072}};
// What parameters and operations depend on.
auto sizes(const ModelConfig& c) {
  return std::array{c.vocab_size,
                    c.hidden_size,
                    c.num_hidden_layers,
                    c.mla() ? 0 : c.head_dim,
                    c.num_attention_heads,
                    c.mla() ? 0 : c.num_key_value_heads,
                    c.kv_lora_rank,
                    c.q_lora_rank,
                    c.intermediate_size,
                    c.qk_nope_head_dim,
                    c.qk_rope_head_dim,
                    c.v_head_dim,
                    c.n_routed_experts,
                    c.n_shared_experts,
                    c.num_experts_per_tok,
                    c.moe_layer_freq,
                    c.moe_intermediate_size,
                    c.first_k_dense_replace,
                    c.num_nextn_predict_layers,
                    int64_t{c.tie_word_embeddings}};
}

constexpr TrainingLayout kV3Layout = {2048, 16, 64, 2};

constexpr PublishedRun kV3 = {.preset = "v3",
                              .model = "DeepSeek-V3",
                              .tokens = 14.8 * kTrillion,
                              .recipe = "v3",
                              .gpu_hours_per_trillion = 180e3,
                              .extension_stages = kV3Extension,
                              .extension_gpu_hours = 119e3,
                              .post_training_gpu_hours = 5e3,
                              .layout = kV3Layout,
                              .fp8 = true,
                              .source = "arXiv:2412.19437, table 1"};

// From the base model of V3, with its own post-training.
constexpr PublishedRun r1() {
  PublishedRun run = kV3;
  run.preset = "r1";
  run.model = "DeepSeek-R1";
  run.post_training_gpu_hours = 147e3;
  run.source = "arXiv:2412.19437, table 1; post-training: Nature 645, supplement";
  return run;
}

constexpr std::array<PublishedRun, 9> kRuns = {{
    kV3,
    r1(),
    {.preset = "v2",
     .model = "DeepSeek-V2",
     .tokens = 8.1 * kTrillion,
     .recipe = "v2",
     .gpu_hours_per_trillion = 172.8e3,
     .source = "arXiv:2405.04434, 3.2.3"},
    {.preset = "llm-67b",
     .model = "DeepSeek LLM 67B",
     .tokens = 2 * kTrillion,
     .recipe = "llm-67b",
     .gpu_hours_per_trillion = 300.6e3,
     .source = "arXiv:2401.02954; hours: arXiv:2405.04434, 3.2.3"},
    {.preset = "llm-7b",
     .model = "DeepSeek LLM 7B",
     .tokens = 2 * kTrillion,
     .recipe = "llm-7b",
     .source = "arXiv:2401.02954"},
    {.preset = "v2-lite",
     .model = "DeepSeek-V2-Lite",
     .tokens = 5.7 * kTrillion,
     .recipe = "v2-lite",
     .source = "arXiv:2405.04434, appendix B"},
    {.preset = "moe-16b",
     .model = "DeepSeekMoE 16B",
     .tokens = 2 * kTrillion,
     .recipe = "moe-16b",
     .source = "arXiv:2401.06066"},
    {.preset = "coder-v2-lite",
     .model = "DeepSeek-Coder-V2-Lite",
     .tokens = 10.2 * kTrillion,
     .source = "arXiv:2406.11931"},
    {.preset = "coder-v2",
     .model = "DeepSeek-Coder-V2",
     .tokens = 10.2 * kTrillion,
     .source = "arXiv:2406.11931"},
}};

}  // namespace

std::span<const PublishedRun> published_runs() { return kRuns; }

const PublishedRun* find_published_run(const std::string& preset) {
  for (const PublishedRun& run : kRuns)
    if (run.preset == preset) return &run;
  return nullptr;
}

const PublishedRun* find_run_of(const ModelConfig& config, const std::string& name) {
  const PublishedRun* found = nullptr;
  for (const PublishedRun& run : kRuns) {
    if (sizes(model_preset(run.preset).config) != sizes(config)) continue;
    if (found == nullptr || run.preset == name) found = &run;
  }
  return found;
}

const PublishedRun& reference_run(const ModelConfig& config) {
  const char* preset = "llm-67b";
  if (config.n_routed_experts > 0) preset = config.topk_method == "noaux_tc" ? "v3" : "v2";
  const PublishedRun* run = find_published_run(preset);
  FATHOM_CHECK(run != nullptr && run->gpu_hours_per_trillion, "plan: no hours known of ", preset);
  return *run;
}

}  // namespace fathom
