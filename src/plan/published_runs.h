// What was published of training runs, and cannot be computed: hours, tokens, layouts, prices.
//
// These are the only constants of a training plan. Everything else follows from the config: what a
// published run achieved in operations a second is its hours divided into its model's operations,
// and another model is charged at that rate.
//
// Threads: constants.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "model/model_config.h"
#include "optim/recipes.h"

namespace fathom {

// A stage of context extension: every token of it at this length.
struct ExtensionStage {
  int64_t sequence_tokens = 0;
  double tokens = 0;
};

struct TrainingLayout {
  int64_t gpus = 1, pipeline_stages = 1, expert_ranks = 1;
  int64_t weight_copies = 1;  // that a schedule keeps of its stages
};

struct PublishedRun {
  const char* preset = "";
  const char* model = "";
  double tokens = 0;
  int64_t sequence_tokens = 4096;
  const char* recipe = "";  // optim/recipes.h: its batches; empty where they are not published
  std::optional<double> gpu_hours_per_trillion = {};      // absent: not published
  std::span<const ExtensionStage> extension_stages = {};  // empty: none, or not published
  std::optional<double> extension_gpu_hours = {};
  std::optional<double> post_training_gpu_hours = {};
  std::optional<TrainingLayout> layout = {};
  bool fp8 = false;  // experts trained, and weights published, in fp8
  const char* source = "";
};

std::span<const PublishedRun> published_runs();
const PublishedRun* find_published_run(const std::string& preset);  // null: nothing published
// The run of a model of the same sizes: the one that `name` is the preset of, else the first; null
// where there is none. A name alone decides nothing, as a folder may be called v3 too.
const PublishedRun* find_run_of(const ModelConfig& config, const std::string& name);
// The run with published hours whose model is nearest in kind.
const PublishedRun& reference_run(const ModelConfig& config);

inline constexpr double kDollarsPerGpuHour = 2;  // rental price that the V3 report assumes

}  // namespace fathom
