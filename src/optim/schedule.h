// Learning-rate schedules as functions of progress.
#pragma once

#include <cstdint>
#include <string>

#include "optim/recipes.h"

namespace fathom {

enum class ScheduleKind { kMultiStep, kCosine, kConstant, kRecipe };

ScheduleKind parse_schedule(
    const std::string& name);  // "multi_step", "cosine", "constant", or that of a recipe
                               // (optim/recipes.h); throws Error(kUsage)

struct ScheduleConfig {
  ScheduleKind kind = ScheduleKind::kMultiStep;
  double peak_lr = 3e-4;
  int64_t warmup_steps =
      2000;  // linear from 0; the n-th step (from 1) has n / warmup_steps of the peak
  double final_ratio = 0.1;        // cosine: lr at the end over the peak
  const Recipe* recipe = nullptr;  // kRecipe: the course of that published training
};

// The rate of step `step` (0-based) of `total` steps; progress is seen tokens over all tokens,
// which with equal steps is step / total. Multi-step (DeepSeek LLM, arXiv:2401.02954, 2.3): peak to
// 80 %, ·sqrt(0.1) to 90 %, then ·0.1.
double learning_rate(const ScheduleConfig& config, int64_t step, int64_t total);

}  // namespace fathom
