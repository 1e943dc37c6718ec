// GPU-hours and dollars of training a model: published ones of a published run, for any other model
// in proportion to its operations.
//
// Threads: pure functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plan/published_runs.h"

namespace fathom {

// Dense bf16 of the H800 that all published hours are of. On another accelerator the same
// utilisation is assumed.
inline constexpr double kReferencePeak = 989.5e12;

struct TrainingInputs {
  const PublishedRun* reference = nullptr;       // whose rate and stages are used
  std::optional<double> tokens;                  // else those of the reference
  std::optional<double> gpu_hours_per_trillion;  // else at the rate of the reference
  double dollars_per_gpu_hour = kDollarsPerGpuHour;
  int64_t gpus = 1;
  double peak_flops = kReferencePeak;  // dense bf16 of one GPU
};

struct TrainingCost {
  double tokens = 0;
  double gpu_hours_per_trillion = 0;
  double tokens_per_second_per_gpu = 0;
  double flops_per_second_per_gpu = 0;  // without and with multi-token modules
  double flops_per_second_per_gpu_with_mtp = 0;
  double mfu = 0, mfu_with_mtp = 0;
  double pretraining_gpu_hours = 0;
  std::optional<double> context_extension_gpu_hours;  // absent: nothing published to scale
  std::optional<double> post_training_gpu_hours;
  double total_gpu_hours = 0;
  double dollars = 0;
  double days_per_trillion = 0, pretraining_days = 0;  // on `gpus`
};

// `reference_config` is the model of inputs.reference.
TrainingCost training_cost(const ModelConfig& config, const ModelConfig& reference_config,
                           const TrainingInputs& inputs);

double tokens_per_second(double gpu_hours_per_trillion);
double gpu_hours_per_trillion(double flops_per_token, double flops_per_second);
// What the sum leaves out, in the words of the V3 report's own caveat.
std::string excluded_from_training_cost();

}  // namespace fathom
