// The settings of a training run: one typed value, from a preset, a TOML run file and flags, in
// that order.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/json.h"
#include "optim/adamw.h"
#include "optim/schedule.h"

namespace fathom {

enum class RunKind { kTrain, kTune };  // next tokens of text; answers of conversations

struct RunConfig {
  std::string preset = "llm-nano";
  std::string model;  // config.json of another shape; wins over the preset's
  std::string init;   // model folder to start from; wins over both
  std::vector<std::string> data;
  std::string val_data;
  double holdout = 0.1;
  std::string tokenizer = "auto";
  std::string out;
  std::string resume = "auto";

  uint64_t seed = 1;
  int64_t steps = 2000;
  int64_t batch_rows = 12;  // rows, or documents when tuning
  int64_t row_tokens = 0;   // 0: the model's context
  int64_t microbatches = 1;

  double lr = 1e-3;
  std::string schedule = "multi_step";
  int64_t warmup_steps = 100;
  double final_ratio = 0.1;
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
  double weight_decay = 0.1;
  double clip_norm = 1;
  double mtp_weight = 0.3;
  double bias_update_speed = 0.001;
  double aux_loss_alpha = 0.0001;

  int64_t log_every = 10;
  int64_t eval_every = 200;
  int64_t save_every = 200;
  int64_t keep = 2;
  bool recompute = false;
  std::string precision = "auto";
};

template <class Visitor>
void visit_fields(RunConfig& c, Visitor&& field) {
  field("preset", c.preset, "model shape and training settings to begin with (fathom init --list)");
  field("model", c.model, "config.json of another shape than the preset's");
  field("init", c.init, "model folder to start from, instead of random weights");
  field("data", c.data,
        "files or folders of .txt and .jsonl, or folders of packed text (fathom data pack); may be "
        "repeated");
  field("val_data", c.val_data, "held-out file; without it the last part of the data is held out");
  field("holdout", c.holdout, "share of the data that is held out when there is no val_data");
  field("tokenizer", c.tokenizer, "auto, bytes, characters, or a folder with tokenizer.json");
  field("out", c.out, "folder of the run: checkpoints, metrics.jsonl, report.html");
  field("resume", c.resume,
        "auto: continue from the newest checkpoint; never: refuse a folder that holds one");
  field("seed", c.seed, "of weights and data order");
  field("steps", c.steps, "optimiser steps in all");
  field("batch_rows", c.batch_rows, "rows a step (sft: conversations a step)");
  field("row_tokens", c.row_tokens, "tokens a row; 0: the model's context");
  field("microbatches", c.microbatches, "parts of a step, to save memory; the result is the same");
  field("lr", c.lr, "peak learning rate");
  field("schedule", c.schedule,
        "multi_step, cosine or constant; or the course of a published training, also of bias speed "
        "and multi-token weight: llm-7b, llm-67b, moe-16b, v2-lite, v2, v3");
  field("warmup_steps", c.warmup_steps, "steps of linear warm-up");
  field("final_ratio", c.final_ratio, "cosine: last rate over peak");
  field("beta1", c.beta1, "AdamW");
  field("beta2", c.beta2, "AdamW");
  field("eps", c.eps, "AdamW");
  field("weight_decay", c.weight_decay, "AdamW, on matrices");
  field("clip_norm", c.clip_norm, "largest gradient norm; 0: no clipping");
  field("mtp_weight", c.mtp_weight, "weight of the multi-token loss, where the model has a head");
  field("bias_update_speed", c.bias_update_speed, "of the experts' correction bias, each step");
  field("aux_loss_alpha", c.aux_loss_alpha, "weight of the sequence-wise balance loss");
  field("log_every", c.log_every, "steps between two lines of metrics");
  field("eval_every", c.eval_every, "steps between two validations; 0: only at the end");
  field("save_every", c.save_every, "steps between two checkpoints; 0: only at the end");
  field("keep", c.keep, "newest checkpoints that are kept; 0: all");
  field("recompute", c.recompute, "recompute layers in backward: less memory, more time");
  field("precision", c.precision,
        "arithmetic of matrix products: f32, bf16 (needs AMX), or auto, the faster one here");
}

// Settings that a resumed run may change; any other difference is refused by name.
const std::vector<std::string>& fields_free_on_resume();

// Defaults that suit the preset. Throws Error(kUsage) for an unknown one.
RunConfig default_run_config(RunKind kind, const std::string& preset);
// Throws Error(kUsage) for values that make no sense, naming the flag.
void check_run_config(const RunConfig& config);

ScheduleConfig schedule_of(const RunConfig& config);
AdamWConfig adamw_of(const RunConfig& config);

}  // namespace fathom
