#include "plan/plan.h"

#include "base/error.h"
#include "model/presets.h"

namespace fathom {
namespace {

void check_positive(const char* flag, const std::optional<double>& value) {
  if (value && !(*value > 0 && *value < 1e30))
    fail(ErrorCode::kUsage, flag, " is ", *value, "; expected a positive number");
}

const PublishedRun& choose_reference(const Plan& plan, const std::string& like) {
  if (like.empty()) {
    const bool timed = plan.own != nullptr && plan.own->gpu_hours_per_trillion;
    return timed ? *plan.own : reference_run(plan.config);
  }
  std::string timed_runs;
  for (const PublishedRun& run : published_runs()) {
    if (!run.gpu_hours_per_trillion) continue;
    if (like == run.preset) return run;
    timed_runs += concat(timed_runs.empty() ? "" : ", ", run.preset);
  }
  fail(ErrorCode::kUsage, "--like is '", like,
       "'; expected a run with published hours: ", timed_runs);
}

TrainingInputs training_inputs(const Plan& plan, const PlanInputs& inputs) {
  check_positive("--tokens", inputs.tokens);
  check_positive("--gpu-hours-per-trillion", inputs.gpu_hours_per_trillion);
  check_positive("--dollars-per-gpu-hour", inputs.dollars_per_gpu_hour);
  check_positive("--mfu", inputs.mfu);
  if (inputs.mfu && *inputs.mfu > 1)
    fail(ErrorCode::kUsage, "--mfu is ", *inputs.mfu, "; expected a share of the peak, up to 1");
  if (inputs.mfu && inputs.gpu_hours_per_trillion)
    fail(ErrorCode::kUsage, "--mfu and --gpu-hours-per-trillion say the same; give one");
  TrainingInputs training;
  training.reference = plan.reference;
  training.tokens = inputs.tokens;
  if (!training.tokens && plan.own != nullptr) training.tokens = plan.own->tokens;
  training.gpu_hours_per_trillion = inputs.gpu_hours_per_trillion;
  if (inputs.mfu) {
    const int64_t length = plan.reference->sequence_tokens;
    training.gpu_hours_per_trillion = gpu_hours_per_trillion(
        train_flops_with_mtp_at(plan.config, length), *inputs.mfu * training.peak_flops);
  }
  training.dollars_per_gpu_hour = inputs.dollars_per_gpu_hour.value_or(kDollarsPerGpuHour);
  const std::optional<TrainingLayout>& layout = plan.reference->layout;
  training.gpus = inputs.gpus.value_or(layout ? layout->gpus : 1);
  if (training.gpus < 1)
    fail(ErrorCode::kUsage, "--gpus is ", training.gpus, "; expected 1 or more");
  return training;
}

}  // namespace

Plan make_plan(const std::string& name, const ModelConfig& config, const PlanInputs& inputs) {
  Plan plan;
  plan.name = name;
  plan.config = config;
  plan.size = model_size(config);
  for (const int64_t length : kPlannedLengths) {
    plan.flops.push_back({length, train_flops_at(config, length),
                          train_flops_with_mtp_at(config, length), decode_flops_at(config, length),
                          decode_attention_flops_at(config, length)});
  }
  plan.own = find_published_run(name);
  if (plan.own == nullptr) plan.own = find_run_of_same_sizes(config);
  plan.reference = &choose_reference(plan, inputs.like);
  plan.training_inputs = training_inputs(plan, inputs);
  plan.training =
      training_cost(config, model_preset(plan.reference->preset).config, plan.training_inputs);
  return plan;
}

}  // namespace fathom
