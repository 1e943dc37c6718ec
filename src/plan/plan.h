// Everything that `fathom plan` says of a model, computed from its config and a few inputs.
//
// Threads: pure functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plan/model_cost.h"
#include "plan/training_cost.h"

namespace fathom {

// What a user may set in place of the published inputs.
struct PlanInputs {
  std::optional<double> tokens = {}, gpu_hours_per_trillion = {}, dollars_per_gpu_hour = {},
                        mfu = {};
  std::optional<int64_t> gpus = {};
  std::string like =
      {};  // preset of the reference run; empty: the model's own, or the nearest in kind
};

struct FlopsAtLength {
  int64_t sequence_tokens = 0;
  double train = 0, train_with_mtp = 0, decode = 0, decode_attention = 0;
};

struct Plan {
  std::string name;
  ModelConfig config;
  ModelSize size;
  std::vector<FlopsAtLength> flops;   // at kPlannedLengths
  const PublishedRun* own = nullptr;  // of this model; null: nothing published
  const PublishedRun* reference = nullptr;
  TrainingInputs training_inputs;
  TrainingCost training;
};

// Throws Error(kUsage) where an input makes no sense.
Plan make_plan(const std::string& name, const ModelConfig& config, const PlanInputs& inputs);

}  // namespace fathom
