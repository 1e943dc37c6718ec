// What training takes of one GPU: weights, gradients and optimizer state, by how they are shared
// out. Activations are not counted; how many sets of them a schedule holds is in pipeline.h.
//
// Routed experts are divided over pipeline stages and expert ranks, all else over pipeline stages;
// the state of each is divided once more over its replicas (ZeRO-1). Averages over stages: the
// first and last hold embedding and head too. Threads: pure functions.
#pragma once

#include <cstdint>

#include "model/model_config.h"
#include "plan/published_runs.h"

namespace fathom {

struct BytesPerParameter {
  double weights = 2;   // 1: fp8, 2: bf16
  double gradient = 4;  // f32
  double state = 8;     // f32 master and two bf16 moments; 12 with f32 moments
};

struct MemoryPart {
  double parameters = 0;    // of the whole model
  double on_this_gpu = 0;   // parameters
  double weight_bytes = 0;  // one copy
  double gradient_bytes = 0;
  double state_bytes = 0;
  double bytes(int64_t weight_copies) const {
    return static_cast<double>(weight_copies) * weight_bytes + gradient_bytes + state_bytes;
  }
};

struct DeviceMemory {
  TrainingLayout layout;
  int64_t expert_replicas = 1, dense_replicas = 1;  // over which states are divided
  MemoryPart experts, dense;                        // routed experts, and everything else
  int64_t weight_copies = 1;                        // 2 with DualPipe
  double bytes() const { return experts.bytes(weight_copies) + dense.bytes(weight_copies); }
};

// Experts in fp8, the rest in bf16, as V3 was trained; Error(kUsage) where the layout does not fit.
DeviceMemory device_memory(const ModelConfig& config, const TrainingLayout& layout,
                           int64_t weight_copies, const BytesPerParameter& experts = {1, 4, 8},
                           const BytesPerParameter& dense = {2, 4, 8});

}  // namespace fathom
