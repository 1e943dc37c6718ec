// What a run reads before its first step: tokenizer, documents, model shape.
#pragma once

#include <memory>
#include <vector>

#include "data/batch_source.h"
#include "model/decoder.h"
#include "text/tokenizer.h"
#include "train/run_config.h"

namespace fathom {

struct RunInputs {
  Tokenizer tokenizer;
  ModelConfig model;
  std::unique_ptr<BatchSource> train;
  std::vector<Batch> validation;
  int64_t train_tokens = 0, validation_tokens = 0;
  int64_t row_tokens = 0;
  int64_t least_row_tokens = 2;  // whole documents differ in length, windows do not
};

// `resume_folder`: the checkpoint that the run continues from, or "". Its tokenizer and shape win.
RunInputs read_inputs(RunKind kind, const RunConfig& config, const std::string& resume_folder);

}  // namespace fathom
