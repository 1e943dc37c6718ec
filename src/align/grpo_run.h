// A GRPO run on a folder: checkpoints, metrics, resume; the same conventions as training runs.
#pragma once

#include "align/grpo.h"
#include "eval/exam.h"
#include "io/json.h"
#include "train/run.h"

namespace fathom {

struct GrpoRunConfig {
  GrpoConfig grpo;
  std::string init;  // model folder to start from
  std::string out;
  int64_t exam_problems = 192;  // of the first task, before and after, and every exam_every steps
  int64_t exam_every = 0;       // 0: only before and after
  int64_t save_every = 20;      // 0: only at the end
  int64_t keep = 2;
  std::string resume = "auto";
};

template <class Visitor>
void visit_fields(GrpoRunConfig& c, Visitor&& field) {
  field("init", c.init, "model folder to start from");
  field("out", c.out, "folder of the run: checkpoints, metrics.jsonl, report.html");
  field("exam_problems", c.exam_problems,
        "held-out problems of the first task, asked before and after");
  field("exam_every", c.exam_every, "steps between two exams; 0: only before and after");
  field("save_every", c.save_every, "steps between two checkpoints; 0: only at the end");
  field("keep", c.keep, "newest checkpoints that are kept; 0: all");
  field("resume", c.resume,
        "auto: continue from the newest checkpoint; never: refuse a folder that holds one");
  visit_fields(c.grpo, field);
}

Json grpo_metrics(int64_t step, const GrpoReport& report);
Json exam_json(const ExamResult& result);

RunResult run_grpo(const GrpoRunConfig& config, const KernelTable& kernels, Allocator& memory,
                   const RunEvents& events);

}  // namespace fathom
