#include "plan/device_memory.h"

#include "base/error.h"
#include "plan/model_cost.h"

namespace fathom {
namespace {

void check_layout(const ModelConfig& c, const TrainingLayout& layout) {
  const auto divides = [](const char* what, int64_t part, int64_t whole, const char* of) {
    if (part < 1 || whole % part != 0)
      fail(ErrorCode::kUsage, "layout: ", what, " is ", part, "; expected a divisor of ", whole,
           " ", of);
  };
  if (layout.gpus < 1)
    fail(ErrorCode::kUsage, "layout: ", layout.gpus, " GPUs; expected 1 or more");
  divides("the number of pipeline stages", layout.pipeline_stages, layout.gpus, "GPUs");
  divides("the number of expert ranks", layout.expert_ranks, layout.gpus / layout.pipeline_stages,
          "GPUs a stage");
  if (layout.pipeline_stages > c.num_hidden_layers)
    fail(ErrorCode::kUsage, "layout: ", layout.pipeline_stages, " pipeline stages for ",
         c.num_hidden_layers, " layers; expected at most as many");
  if (c.n_routed_experts > 0)
    divides("the number of expert ranks", layout.expert_ranks, c.n_routed_experts,
            "routed experts");
}

MemoryPart part(int64_t parameters, int64_t ways, int64_t replicas, const BytesPerParameter& each) {
  MemoryPart part;
  part.parameters = static_cast<double>(parameters);
  part.on_this_gpu = part.parameters / static_cast<double>(ways);
  part.weight_bytes = part.on_this_gpu * each.weights;
  part.gradient_bytes = part.on_this_gpu * each.gradient;
  part.state_bytes = part.on_this_gpu * each.state / static_cast<double>(replicas);
  return part;
}

}  // namespace

DeviceMemory device_memory(const ModelConfig& config, const TrainingLayout& layout,
                           int64_t weight_copies, const BytesPerParameter& experts,
                           const BytesPerParameter& dense) {
  check_layout(config, layout);
  DeviceMemory memory;
  memory.layout = layout;
  memory.weight_copies = weight_copies;
  memory.dense_replicas = layout.gpus / layout.pipeline_stages;
  memory.expert_replicas = memory.dense_replicas / layout.expert_ranks;
  const int64_t routed = routed_expert_weights(config);
  memory.experts =
      part(routed, layout.pipeline_stages * layout.expert_ranks, memory.expert_replicas, experts);
  memory.dense =
      part(model_size(config).total - routed, layout.pipeline_stages, memory.dense_replicas, dense);
  return memory;
}

}  // namespace fathom
