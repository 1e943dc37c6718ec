// The numbers of the demo: what each chapter trains on, how long, at which rates.
//
// A blank V3-style model learns small tasks from worked problems, is nudged into answering without
// thinking, and then finds by GRPO that thinking pays (docs/demo.md). Two sizes: standard, and
// quick for one minute.
#pragma once

#include <string>
#include <vector>

#include "align/grpo.h"
#include "data/tasks.h"
#include "model/model_config.h"

namespace fathom {

struct TrainingChapter {
  MixtureConfig mixture;
  int64_t steps = 0, documents = 64;  // documents a step
  double lr = 0;
  int64_t warmup_steps = 0;
  double weight_decay = 0;
  double mtp_weight = 0, late_mtp_weight = 0;  // from two thirds of the steps on: late
  int64_t eval_every = 0;  // steps between two looks at held-out documents; 0: none
};

struct DemoRecipe {
  std::string name;  // "standard" or "quick"
  ModelConfig model;
  TrainingChapter pretrain;
  TrainingChapter cold_start;
  GrpoConfig grpo;    // the first task, among others that keep their level
  GrpoConfig second;  // a second task in a chapter of its own; no steps: left out
  std::string second_task;
  int64_t exam_problems = 192, exam_samples = 8;
  int64_t second_exam_problems = 192;

  // Gates between chapters: measured, because seeds differ in when a skill arrives.
  double least_forced_accuracy = 0.95;  // after pretraining, else it goes on
  int64_t extra_pretrain_steps = 200;   // at a time, at most five times
  double least_reasoning = 0.05,
         most_reasoning = 0.20;  // after the cold start, else its share of thinking is changed
};

DemoRecipe demo_recipe(bool quick, uint64_t seed);

// The learning rate of `step`: the chapter's own schedule, then for each `extra_steps` that a gate
// adds once more from the full rate down to a tenth, for a skill that is not there at a low rate
// does not come at a low rate.
double chapter_rate(const TrainingChapter& chapter, int64_t step, int64_t extra_steps);

// "expert correction bias" speed: fast while the biases find their place, then slow.
double demo_bias_speed(int64_t step);

}  // namespace fathom
