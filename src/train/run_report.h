// What a run leaves for people: report.html with its curves, and the model card of its checkpoints.
#pragma once

#include <string>

#include "checkpoint/model_folder.h"
#include "train/run_config.h"

namespace fathom {

// RUN/report.html from RUN/metrics.jsonl: the curves are the file's numbers.
void write_run_report(const std::string& run, const RunConfig& config, const ModelConfig& model);

ModelCard run_card(const RunConfig& config, const ModelConfig& model, int64_t step, double train_loss);

// "--data a.txt --seed 1 …": the flags that differ from the preset's defaults, for repeating a run.
std::string run_flags(const RunConfig& config);

}  // namespace fathom
