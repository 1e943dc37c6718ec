// A model folder: config.json, *.safetensors, tokenizer.json, tokenizer_config.json,
// generation_config.json, README.md.
//
// The layout of published checkpoints: other programs load what is written here, and the other way
// round.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "checkpoint/weights.h"
#include "model/decoder.h"
#include "text/tokenizer.h"

namespace fathom {

struct LoadedModel {
  std::string folder;  // the one that was read: a run's folder resolves to its newest checkpoint
  std::unique_ptr<Decoder> decoder;
  std::optional<Tokenizer> tokenizer;  // where the folder has one

  const ModelConfig& config() const { return decoder->config(); }
  // The tokenizer, or Error(kModel) naming the folder.
  const Tokenizer& require_tokenizer() const;
  // Ids that end an answer: those of config.json, joined with generation_config.json's.
  std::vector<int32_t> end_ids() const { return config().eos_token_ids; }
};

// PATH itself if it holds config.json; PATH/model; or the newest complete PATH/checkpoints/step-*.
// Error(kModel) otherwise.
std::string resolve_model_folder(const std::string& path);

// Error(kUsage) where a run's --out holds a model of its own: a command given that folder would use
// it and not the run's checkpoints.
void check_run_folder(const std::string& out);

// How weights are held: as f32, to be trained; or, to be run, matrices that the files hold in fewer
// bits stay there (checkpoint/weights.h), unless the model is so small that f32 is faster.
enum class WeightsFor { kTraining, kInference };

// Every claim of the folder is checked before memory is taken for it. Error(kModel) names what is
// wrong.
LoadedModel load_model(const std::string& path, Allocator& memory, WeightsFor use,
                       const ByteProgress& progress = {});

struct ModelCard {
  std::string title;
  std::string body;  // Markdown: how it was made, figures, how to use it
};

// Writes everything into `folder`, which exists. Files are durable when it returns. `read` and
// `progress` as in save_weights().
void save_model(Decoder& decoder, const Tokenizer* tokenizer, const std::string& folder,
                const WeightFormat& format, const ModelCard& card,
                const PartReader& read = read_values, const ByteProgress& progress = {});

}  // namespace fathom
