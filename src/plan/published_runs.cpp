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
// 1000 steps of 576 sequences (arXiv:2405.04434, 3.1.4).
constexpr ExtensionStage kV2Extension[] = {{32768, 1000.0 * 576 * 32768}};

// What parameters and operations depend on.
auto sizes(const ModelConfig& c) {
  return std::array{c.vocab_size,       c.hidden_size,           c.num_hidden_layers,
                    c.head_dim,         c.num_attention_heads,   c.num_key_value_heads * !c.mla(),
                    c.kv_lora_rank,     c.q_lora_rank,           c.intermediate_size,
                    c.qk_nope_head_dim, c.qk_rope_head_dim,      c.v_head_dim,
                    c.n_routed_experts, c.n_shared_experts,      c.num_experts_per_tok,
                    c.moe_layer_freq,   c.moe_intermediate_size, c.first_k_dense_replace};
}

constexpr TrainingLayout kV3Layout = {2048, 16, 64, 15360};

constexpr std::array<PublishedRun, 9> kRuns = {{
    {"v3", "DeepSeek-V3", 14.8 * kTrillion, 4096, 180e3, kV3Extension, 119e3, 5e3, kV3Layout,
     "arXiv:2412.19437, table 1"},
    // From the same base model; its own hours are those of the supplement to the R1 paper.
    {"r1", "DeepSeek-R1", 14.8 * kTrillion, 4096, 180e3, kV3Extension, 119e3, 147e3, kV3Layout,
     "arXiv:2412.19437, table 1; R1 paper in Nature, supplement"},
    {"v2",
     "DeepSeek-V2",
     8.1 * kTrillion,
     4096,
     172.8e3,
     kV2Extension,
     {},
     {},
     {},
     "arXiv:2405.04434, 3.2.3"},
    {"llm-67b",
     "DeepSeek LLM 67B",
     2 * kTrillion,
     4096,
     300.6e3,
     {},
     {},
     {},
     {},
     "arXiv:2401.02954; hours in arXiv:2405.04434, 3.2.3"},
    {"llm-7b", "DeepSeek LLM 7B", 2 * kTrillion, 4096, {}, {}, {}, {}, {}, "arXiv:2401.02954"},
    {"v2-lite",
     "DeepSeek-V2-Lite",
     5.7 * kTrillion,
     4096,
     {},
     {},
     {},
     {},
     {},
     "arXiv:2405.04434, appendix B"},
    {"moe-16b", "DeepSeekMoE 16B", 2 * kTrillion, 4096, {}, {}, {}, {}, {}, "arXiv:2401.06066"},
    {"coder-v2-lite",
     "DeepSeek-Coder-V2-Lite",
     10.2 * kTrillion,
     4096,
     {},
     {},
     {},
     {},
     {},
     "arXiv:2406.11931"},
    {"coder-v2",
     "DeepSeek-Coder-V2",
     10.2 * kTrillion,
     4096,
     {},
     {},
     {},
     {},
     {},
     "arXiv:2406.11931"},
}};

}  // namespace

std::span<const PublishedRun> published_runs() { return kRuns; }

const PublishedRun* find_published_run(const std::string& preset) {
  for (const PublishedRun& run : kRuns)
    if (run.preset == preset) return &run;
  return nullptr;
}

const PublishedRun* find_run_of_same_sizes(const ModelConfig& config) {
  for (const PublishedRun& run : kRuns)
    if (sizes(model_preset(run.preset).config) == sizes(config)) return &run;
  return nullptr;
}

const PublishedRun& reference_run(const ModelConfig& config) {
  const char* preset = "llm-67b";
  if (config.n_routed_experts > 0) preset = config.topk_method == "noaux_tc" ? "v3" : "v2";
  const PublishedRun* run = find_published_run(preset);
  FATHOM_CHECK(run != nullptr && run->gpu_hours_per_trillion, "plan: no hours known of ", preset);
  return *run;
}

}  // namespace fathom
