// Checkpoints of a training run: a whole model folder plus what continuing needs.
//
//   RUN/checkpoints/step-00000400/   model folder + optimizer.safetensors + state.json + run.toml
// A checkpoint is written beside, synced and renamed: it is there whole or not at all, whenever the
// process is killed.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "checkpoint/model_folder.h"
#include "io/json.h"
#include "optim/adamw.h"

namespace fathom {

std::string checkpoint_name(int64_t step);  // "step-00000400"

struct Checkpoint {
  std::string folder;
  int64_t step = 0;
};
// The newest complete checkpoint of a run, or nothing.
std::optional<Checkpoint> newest_checkpoint(const std::string& run);

struct CheckpointContents {
  Decoder* decoder = nullptr;
  const Tokenizer* tokenizer = nullptr;
  AdamW* optimizer = nullptr;
  Json state;            // whatever the run needs besides: step, counters
  std::string run_toml;  // the settings, as text
  ModelCard card;
};

// Publishes RUN/checkpoints/step-N and then removes all but the newest `keep` (0: keep all). On
// failure (a full disk) throws, leaving earlier checkpoints intact and nothing half-written.
void save_checkpoint(const std::string& run, int64_t step, const CheckpointContents& contents,
                     int64_t keep);

// Restores weights and optimiser; returns the stored state. Shapes and names must agree.
Json load_checkpoint(Pass& pass, const std::string& folder, Decoder& decoder, AdamW& optimizer);

}  // namespace fathom
