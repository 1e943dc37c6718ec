// A training run: data, model, steps, validation, checkpoints, metrics; continued after any stop as
// if nothing had happened.
//
// RUN/checkpoints/step-*, RUN/metrics.jsonl, RUN/report.html, RUN/run.lock. Threads: the calling
// thread is the compute thread.
#pragma once

#include <functional>
#include <string>

#include "ops/kernel_table.h"
#include "train/run_config.h"
#include "train/trainer.h"

namespace fathom {

// What happens, for a terminal, a pipe or a machine: `event` is "start", "resume", "step", "eval",
// "save", "warning", "stopped" or "summary"; the other members are figures.
using RunEvents = std::function<void(const Json& event)>;

struct RunResult {
  Json summary;          // the last line of --json
  bool stopped = false;  // by a signal, state saved
  int stop_signal = 0;
};

// Sizes, memory and time that a run would take, without running it; a few steps are timed unless
// `measure` is off.
Json plan_run(RunKind kind, const RunConfig& config, const KernelTable& kernels, Allocator& memory,
              bool measure);

RunResult run_training(RunKind kind, const RunConfig& config, const KernelTable& kernels,
                       Allocator& memory, const RunEvents& events);

int64_t peak_rss_bytes();  // of this process, so far

}  // namespace fathom
