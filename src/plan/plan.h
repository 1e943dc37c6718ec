// Everything that `fathom plan` says of a model, computed from its config and a few inputs.
//
// Threads: pure functions.  Lifetime: a plan refers to its inputs' price book.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plan/device_memory.h"
#include "plan/expert_placement.h"
#include "plan/inference.h"
#include "plan/model_cost.h"
#include "plan/pipeline.h"
#include "plan/prices.h"
#include "plan/scaling_laws.h"
#include "plan/training_cost.h"

namespace fathom {

// What a user may set in place of the published inputs.
struct PlanInputs {
  std::optional<double> tokens = {}, gpu_hours_per_trillion = {}, dollars_per_gpu_hour = {},
                        mfu = {};
  std::optional<int64_t> gpus = {}, pipeline_stages = {}, expert_ranks = {}, microbatches = {};
  std::string like = {};  // preset of the reference run; empty: the model's own, or the nearest

  std::string trained_on = "h800";

  std::string accelerator = "h200";
  std::optional<int64_t> accelerators = {}, weight_bits = {};
  int64_t context_tokens = 4096;

  std::vector<std::vector<double>> expert_loads = {};  // [layers][experts]; empty: not measured
  std::optional<int64_t> replicas = {}, expert_gpus = {}, expert_nodes = {};

  const PriceBook* prices = nullptr;  // null: the built-in one
  std::string price_date = {};        // a day or a moment; empty: from the model's newest price on
  std::string price_model = {};       // empty: the model's own name
};

struct FlopsAtLength {
  int64_t sequence_tokens = 0;
  double train = 0, train_with_mtp = 0, decode = 0, decode_attention = 0;
};

struct PipelinePlan {
  int64_t stages = 1, microbatches = 1;
  std::vector<PipelineSchedule> schedules;
};

// Where experts stand when the model is served.
struct PlacementPlan {
  PlacementShape shape;
  double bytes_per_gpu = 0;  // of the experts in its slots, all layers
  std::vector<ExpertPlacement> layers;
  std::vector<double> imbalance_before;
};

struct InferencePlan {
  InferenceInputs inputs;
  InferenceFit fit;
  std::vector<DecodeBound> bounds;
  double dollars_per_million_tokens(const DecodeBound& bound, double dollars_per_gpu_hour) const;
};

struct PricePlan {
  const PriceBook* book = nullptr;
  const PriceRow* row = nullptr;  // null: the file has no price of this model
  std::string date;
  TokenPrice price;  // of `row` on that day, or at that moment where the date has a time
  TokenUse mix;      // of the compared bill
  std::vector<PriceComparison> peers;
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
  Accelerator trained_on;
  std::optional<double> steps;  // where the run's batch was published
  double model_scale = 0;       // M of the laws at 4096 tokens
  LawOptima laws;               // for the compute of M and the training tokens
  TrainingLayout layout;
  PipelinePlan pipeline;
  DeviceMemory memory;
  std::optional<PlacementPlan> placement;  // of models with experts
  InferencePlan inference;
  PricePlan prices;
};

// Throws Error(kUsage) where an input makes no sense.
Plan make_plan(const std::string& name, const ModelConfig& config, const PlanInputs& inputs);

}  // namespace fathom
