// The kinds of chapter that the demo is made of: training on documents, GRPO, exams.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "demo/demo_state.h"
#include "demo/recipe.h"
#include "eval/exam.h"
#include "train/run.h"

namespace fathom {

// A signal asked to stop; the state is saved.
struct DemoStopped {};

// What all chapters share.
struct DemoStage {
  const KernelTable& kernels;
  Allocator& memory;
  const Tokenizer& tokenizer;
  DemoState& state;
  const RunEvents& events;
  uint64_t seed = 1;
};

struct ChapterTitle {
  std::string name;   // "pretrain": of files and events
  std::string title;  // "1  pretraining on worked problems"
};

// Trains `decoder`; resumes in the middle after a stop. `gate` is asked when the steps are done:
// true ends the chapter, false trains `extra_steps` more (chapter_rate). Returns
// {"wall_s", "tokens", "train_s", "steps", "loss"}.
Json train_chapter(const DemoStage& stage, const ChapterTitle& title,
                   const TrainingChapter& chapter, Decoder& decoder,
                   const std::function<bool()>& gate = {}, int64_t extra_steps = 0);

// GRPO from the decoder's weights. Returns {"wall_s", "tokens", "rollout_tokens", "rollout_s",
// "steps", …}.
Json grpo_chapter(const DemoStage& stage, const ChapterTitle& title, const GrpoConfig& config,
                  Decoder& decoder);

// Held-out problems of a task, the same for every exam of one seed.
std::vector<Problem> exam_problems(const DemoStage& stage, const std::string& task, int64_t count);
ExamResult demo_exam(const DemoStage& stage, const std::string& name, const std::string& task,
                     Decoder& decoder, const ExamConfig& config, int64_t problems);

}  // namespace fathom
