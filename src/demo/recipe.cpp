#include "demo/recipe.h"

#include "base/error.h"
#include "model/presets.h"
#include "optim/schedule.h"

namespace fathom {
namespace {

TrainingChapter pretrain_chapter(bool quick) {
  TrainingChapter chapter;
  chapter.mixture = pretraining_mixture(quick);
  chapter.steps = quick ? 500 : 1200;
  chapter.lr = 3e-3;
  chapter.warmup_steps = 50;
  chapter.weight_decay = 0.1;
  // At 0.3 the head delays the worked sums by hundreds of steps on some seeds; it learns at 0.1
  // too.
  chapter.mtp_weight = chapter.late_mtp_weight = 0.1;
  chapter.eval_every = quick ? 50 : 60;  // a look costs a quarter of a step
  return chapter;
}

TrainingChapter cold_start_chapter() {
  TrainingChapter chapter;
  chapter.mixture = cold_start_mixture();
  chapter.steps = 60;
  chapter.lr = 1e-3;
  chapter.warmup_steps = 10;
  chapter.mtp_weight = chapter.late_mtp_weight = 0.1;
  return chapter;
}

}  // namespace

DemoRecipe demo_recipe(bool quick, uint64_t seed) {
  DemoRecipe recipe;
  recipe.name = quick ? "quick" : "standard";
  recipe.model = model_preset("v3-nano").config;
  recipe.pretrain = pretrain_chapter(quick);
  recipe.cold_start = cold_start_chapter();
  recipe.grpo.seed = seed;
  recipe.grpo.steps = quick ? 40 : 60;
  // With AdamW's usual eps every noisy gradient makes a full step, and random rewards walk far; at
  // the size of the noise they stay near where they began, while real rewards still move at once.
  recipe.grpo.lr = 1e-4;
  recipe.grpo.eps = 2e-3;
  recipe.grpo.mtp_weight = 0;  // the head keeps its skill without
  recipe.grpo.tasks = quick ? std::vector<std::string>{"modsum=32"}
                            : std::vector<std::string>{"modsum=32", "sort=12", "countdown3=20"};
  recipe.second_task = "add";
  if (!quick) {
    recipe.second = recipe.grpo;
    recipe.second.steps = 60;
    recipe.second.tasks = {"add=64"};
    recipe.second.eps = 1e-8;
    recipe.second.lr = 1.5e-4;
    recipe.second.seed = seed + 1000;
  } else {
    recipe.second.steps = 0;
  }
  return recipe;
}

double chapter_rate(const TrainingChapter& chapter, int64_t step, int64_t extra_steps) {
  if (step < chapter.steps) {
    const ScheduleConfig schedule{ScheduleKind::kCosine, chapter.lr, chapter.warmup_steps, 0.1};
    return learning_rate(schedule, step, chapter.steps);
  }
  FATHOM_CHECK(extra_steps > 0, "demo: step ", step, " lies behind the chapter's ", chapter.steps,
               " steps, and no gate adds more");
  const ScheduleConfig again{ScheduleKind::kCosine, chapter.lr, 0, 0.1};
  return learning_rate(again, (step - chapter.steps) % extra_steps, extra_steps);
}

double demo_bias_speed(int64_t step) { return step < 100 ? 0.01 : 0.001; }

}  // namespace fathom
