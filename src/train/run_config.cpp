#include "train/run_config.h"

#include <cmath>

#include "io/fields.h"
#include "model/presets.h"

namespace fathom {
namespace {

constexpr int64_t kMostSteps = 99'999'999;  // folders of checkpoints have eight digits
constexpr int64_t kMostRows = 1'000'000'000;

}  // namespace

const std::vector<std::string>& fields_free_on_resume() {
  static const std::vector<std::string> names = {"out",       "resume",     "steps",
                                                 "log_every", "eval_every", "save_every",
                                                 "keep",      "recompute",  "init"};
  return names;
}

RunConfig default_run_config(RunKind kind, const std::string& preset) {
  RunConfig c;
  c.preset = model_preset(preset).name;
  if (preset == "llm-nano") {
    c.lr = 4e-3;
    c.beta2 = 0.99;
  } else if (preset == "v3-nano") {
    c.lr = 3e-3;
    c.batch_rows = 32;
    c.warmup_steps = 50;
  } else if (preset == "v3-text") {
    c.lr = 3e-3;
    c.batch_rows = 16;
  } else {
    c.lr = 1e-3;
    c.batch_rows = 8;
  }
  if (kind == RunKind::kTune) {
    c.steps = 200;
    c.batch_rows = 32;
    c.lr = 2e-4;
    c.schedule = "cosine";
    c.warmup_steps = 10;
    c.weight_decay = 0;
    c.mtp_weight = 0.1;
  }
  return c;
}

void check_run_config(const RunConfig& c) {
  const auto at_least = [](const char* name, double value, double low) {
    if (!(value >= low))
      fail(ErrorCode::kUsage, flag_name(name), " is ", value, "; expected ", low, " or more");
    if (std::isinf(value))
      fail(ErrorCode::kUsage, flag_name(name), " is ", value, "; expected a finite number");
  };
  const auto at_most = [](const char* name, int64_t value, int64_t high, const char* why) {
    if (value > high)
      fail(ErrorCode::kUsage, flag_name(name), " is ", value, "; expected at most ", high, why);
  };
  const auto share = [](const char* name, double value) {
    if (!(value >= 0 && value < 1))
      fail(ErrorCode::kUsage, flag_name(name), " is ", value,
           "; expected 0 or more and less than 1");
  };
  if (c.data.empty())
    fail(ErrorCode::kUsage, "--data is missing; give a .txt or .jsonl file, or a folder of them");
  if (c.out.empty())
    fail(ErrorCode::kUsage, "--out is missing; give a folder for checkpoints and metrics");
  at_least("steps", static_cast<double>(c.steps), 1);
  at_least("batch_rows", static_cast<double>(c.batch_rows), 1);
  at_least("row_tokens", static_cast<double>(c.row_tokens), 0);
  at_least("microbatches", static_cast<double>(c.microbatches), 1);
  at_most("steps", c.steps, kMostSteps, "");
  at_most("batch_rows", c.batch_rows, kMostRows, "");
  at_most("microbatches", c.microbatches, c.batch_rows, ", the rows of a step (--batch-rows)");
  at_least("log_every", static_cast<double>(c.log_every), 1);
  at_least("eval_every", static_cast<double>(c.eval_every), 0);
  at_least("save_every", static_cast<double>(c.save_every), 0);
  at_least("keep", static_cast<double>(c.keep), 0);
  at_least("warmup_steps", static_cast<double>(c.warmup_steps), 0);
  at_least("lr", c.lr, 0);
  at_least("weight_decay", c.weight_decay, 0);
  at_least("clip_norm", c.clip_norm, 0);
  at_least("mtp_weight", c.mtp_weight, 0);
  at_least("final_ratio", c.final_ratio, 0);
  at_least("eps", c.eps, 0);
  at_least("bias_update_speed", c.bias_update_speed, 0);
  at_least("aux_loss_alpha", c.aux_loss_alpha, 0);
  share("beta1", c.beta1);
  share("beta2", c.beta2);
  if (!(c.holdout > 0 && c.holdout < 1))
    fail(ErrorCode::kUsage, "--holdout is ", c.holdout, "; expected between 0 and 1");
  if (c.resume != "auto" && c.resume != "never") {
    fail(ErrorCode::kUsage, "--resume is '", c.resume, "'; expected auto or never");
  }
  parse_schedule(c.schedule);
}

ScheduleConfig schedule_of(const RunConfig& c) {
  return {parse_schedule(c.schedule), c.lr, c.warmup_steps, c.final_ratio, find_recipe(c.schedule)};
}

AdamWConfig adamw_of(const RunConfig& c) {
  return {c.beta1, c.beta2, c.eps, c.weight_decay, c.clip_norm};
}

}  // namespace fathom
