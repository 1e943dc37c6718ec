// Whole steps of a preset: training (forward, backward, optimiser) and rollouts, timed.
//
// Threads: the computing one.
#pragma once

#include <string>

#include "app/bench_machine.h"
#include "backend/device.h"
#include "io/json.h"
#include "model/model_config.h"

namespace fathom {

struct ModelBenchOptions {
  std::string preset;
  int64_t sequences = 0, length = 0;  // 0: what the preset is trained with
  double seconds = 5;                 // of measuring, at least
};

// Error(kMemory) where the weights alone, or for training with their gradients and moments, are
// more than `available_bytes`: said before anything is made.
enum class ModelBenchKind { kTraining, kRollout };
void check_model_fits(const ModelBenchOptions& options, ModelBenchKind kind,
                      double available_bytes);

// Row "train_step" with tokens_per_s, optimizer_us, optimizer_gbytes_s and peak_memory_bytes
// besides the usual columns.
Json bench_training(Device& device, const ModelBenchOptions& options, const MachinePeaks& peaks);

// Row "rollout": 64 prompts of 24 tokens, 32 new tokens each at temperature 1.
Json bench_rollout(Device& device, const ModelBenchOptions& options, const MachinePeaks& peaks);

// Floating-point operations of causal attention over one sequence in all layers with a cache
// (scores and mixing, two operations each, only the pairs that attend).
double attention_flops(const ModelConfig& config, int64_t layers, int64_t length);

}  // namespace fathom
