// What a run leaves for people: report.html with its curves, and the model card of its checkpoints.
//
// Threads: free functions, any.
#pragma once

#include <string>

#include "checkpoint/model_folder.h"
#include "train/run_config.h"

namespace fathom {

// RUN/report.html from RUN/metrics.jsonl: the curves are the file's numbers.
void write_run_report(RunKind kind, const std::string& run, const RunConfig& config,
                      const ModelConfig& model);

ModelCard run_card(RunKind kind, const RunConfig& config, const ModelConfig& model, int64_t step,
                   double train_loss);

// "--preset llm-nano --data a.txt …": the flags that differ from the preset's defaults, for
// repeating a run.
std::string run_flags(RunKind kind, const RunConfig& config);

// `text` as one word of a shell: in single quotes where it has to be.
std::string shell_word(const std::string& text);

}  // namespace fathom
