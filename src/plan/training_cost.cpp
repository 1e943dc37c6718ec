#include "plan/training_cost.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "plan/as_double.h"
#include "plan/model_cost.h"

namespace fathom {
namespace {

// Operations of all tokens of a run's context extension.
double extension_flops(const ModelConfig& config, const PublishedRun& run) {
  double flops = 0;
  for (const ExtensionStage& stage : run.extension_stages)
    flops += stage.tokens * train_flops_with_mtp_at(config, stage.sequence_tokens);
  return flops;
}

void fill_rates(TrainingCost& cost, const ModelConfig& config, const PublishedRun& reference,
                double peak_flops) {
  cost.tokens_per_second_per_gpu = tokens_per_second(cost.gpu_hours_per_trillion);
  const int64_t length = reference.sequence_tokens;
  cost.flops_per_second_per_gpu = cost.tokens_per_second_per_gpu * train_flops_at(config, length);
  cost.flops_per_second_per_gpu_with_mtp =
      cost.tokens_per_second_per_gpu * train_flops_with_mtp_at(config, length);
  cost.mfu = cost.flops_per_second_per_gpu / peak_flops;
  cost.mfu_with_mtp = cost.flops_per_second_per_gpu_with_mtp / peak_flops;
}

}  // namespace

double tokens_per_second(double hours_per_trillion) { return 1e12 / (3600 * hours_per_trillion); }

double gpu_hours_per_trillion(double flops_per_token, double flops_per_second) {
  return 1e12 * flops_per_token / flops_per_second / 3600;
}

TrainingCost training_cost(const ModelConfig& config, const ModelConfig& reference_config,
                           const TrainingInputs& inputs) {
  FATHOM_CHECK(inputs.reference != nullptr && inputs.gpus > 0,
               "training_cost: needs a reference run and a number of GPUs, got ", inputs.gpus);
  const PublishedRun& reference = *inputs.reference;
  // The multi-token module is trained along, so the model is charged for it.
  const double scale = train_flops_with_mtp_at(config, reference.sequence_tokens) /
                       train_flops_with_mtp_at(reference_config, reference.sequence_tokens);
  const double slower = kReferencePeak / inputs.peak_flops;
  TrainingCost cost;
  cost.tokens = inputs.tokens.value_or(reference.tokens);
  cost.gpu_hours_per_trillion =
      inputs.gpu_hours_per_trillion.value_or(*reference.gpu_hours_per_trillion * scale * slower);
  fill_rates(cost, config, reference, inputs.peak_flops);
  cost.pretraining_gpu_hours = cost.tokens / 1e12 * cost.gpu_hours_per_trillion;
  if (reference.extension_gpu_hours) {
    cost.context_extension_gpu_hours = *reference.extension_gpu_hours * slower *
                                       extension_flops(config, reference) /
                                       extension_flops(reference_config, reference);
  }
  if (reference.post_training_gpu_hours)
    cost.post_training_gpu_hours = *reference.post_training_gpu_hours * scale * slower;
  cost.total_gpu_hours = cost.pretraining_gpu_hours + cost.context_extension_gpu_hours.value_or(0) +
                         cost.post_training_gpu_hours.value_or(0);
  cost.dollars = cost.total_gpu_hours * inputs.dollars_per_gpu_hour;
  const double gpu_hours_per_day = 24 * as_double(inputs.gpus);
  cost.days_per_trillion = cost.gpu_hours_per_trillion / gpu_hours_per_day;
  cost.pretraining_days = cost.pretraining_gpu_hours / gpu_hours_per_day;
  return cost;
}

std::string excluded_from_training_cost() {
  return "the official run alone, at a rental price: without earlier research and ablations on "
         "architectures, algorithms and data, failed runs, data, staff, and the purchase of "
         "machines";
}

}  // namespace fathom
