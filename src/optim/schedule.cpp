#include "optim/schedule.h"

#include <cmath>

#include "base/error.h"

namespace fathom {

ScheduleKind parse_schedule(const std::string& name) {
  if (name == "multi_step") return ScheduleKind::kMultiStep;
  if (name == "cosine") return ScheduleKind::kCosine;
  if (name == "constant") return ScheduleKind::kConstant;
  if (find_recipe(name) != nullptr) return ScheduleKind::kRecipe;
  std::vector<std::string> known = {"multi_step", "cosine", "constant"};
  for (const std::string& recipe : recipe_names()) known.push_back(recipe);
  std::string list;
  for (const std::string& one : known) list += (list.empty() ? "" : ", ") + one;
  fail(ErrorCode::kUsage, "schedule: '", name, "' is unknown; expected one of ", list,
       did_you_mean(name, known));
}

double learning_rate(const ScheduleConfig& config, int64_t step, int64_t total) {
  if (step < config.warmup_steps) {
    return config.peak_lr * static_cast<double>(step + 1) /
           static_cast<double>(config.warmup_steps);
  }
  const double progress = static_cast<double>(step) / static_cast<double>(total > 0 ? total : 1);
  switch (config.kind) {
    case ScheduleKind::kConstant:
      return config.peak_lr;
    case ScheduleKind::kMultiStep:
      return progress < 0.8   ? config.peak_lr
             : progress < 0.9 ? config.peak_lr * std::sqrt(0.1)
                              : config.peak_lr * 0.1;
    case ScheduleKind::kRecipe:
      return config.peak_lr * config.recipe->lr.at(progress);
    case ScheduleKind::kCosine: {
      const auto span = static_cast<double>(total - config.warmup_steps);
      const double x = span > 0 ? static_cast<double>(step - config.warmup_steps) / span : 1;
      const double low = config.peak_lr * config.final_ratio;
      return low + 0.5 * (config.peak_lr - low) *
                       (1 + std::cos(3.14159265358979323846 * (x < 1 ? x : 1)));
    }
  }
  return config.peak_lr;
}

}  // namespace fathom
