// The demo: from a blank model to reasoning, in chapters, resumable after any stop.
//
//   OUT/model/        the trained model, a Hugging Face folder
//   OUT/chapters/     the model after each chapter; OUT/state.json: what is done and measured
//   OUT/metrics-*.jsonl, OUT/report.html
// Threads: one.
#pragma once

#include <memory>
#include <string>

#include "demo/recipe.h"
#include "train/run.h"

namespace fathom {

struct DemoConfig {
  uint64_t seed = 1;
  std::string out = "runs/demo";
  bool quick = false;
  bool control = true;  // the same GRPO with random rewards
};

// Events: "chapter" (name, title, steps), "step", "sample", "exam", "note", "summary". Returns the
// summary, or nothing in it and stopped = true after a signal.
RunResult run_demo(const DemoConfig& config, const KernelTable& kernels, Allocator& memory,
                   const RunEvents& events);

}  // namespace fathom
