#include "plan/device_memory.h"

#include "base/error.h"
#include "model/presets.h"
#include "plan/testing.h"

namespace fathom {
namespace {

using testing::expect_within;
using testing::kClose;
using testing::kRounded;

const TrainingLayout kV3 = {2048, 16, 64, 2};

TEST(DeviceMemory, OfV3IsThatOfItsLayout) {
  const DeviceMemory memory = device_memory(model_preset("v3").config, kV3, 2);
  EXPECT_EQ(memory.expert_replicas, 2);
  EXPECT_EQ(memory.dense_replicas, 128);
  expect_within(memory.experts.parameters, 653.9e9, kClose, "experts");
  expect_within(memory.experts.on_this_gpu, 638.6e6, kClose, "experts here");
  expect_within(memory.experts.weight_bytes, 0.64e9, kRounded, "fp8 weights");
  expect_within(memory.experts.gradient_bytes, 2.55e9, kRounded, "gradients");
  expect_within(memory.experts.state_bytes, 2.55e9, kRounded, "state");
  expect_within(memory.dense.parameters, 17.1e9, kRounded, "the rest");
  expect_within(memory.dense.on_this_gpu, 1.07e9, kRounded, "the rest here");
  expect_within(memory.dense.weight_bytes, 2.14e9, kRounded, "bf16 weights");
  expect_within(memory.dense.gradient_bytes, 4.28e9, kRounded, "gradients");
  EXPECT_NEAR(memory.dense.state_bytes, 0.07e9, 0.005e9);
}

TEST(DeviceMemory, DualPipeDoublesWeightsOnly) {
  const ModelConfig& v3 = model_preset("v3").config;
  const double more = device_memory(v3, kV3, 2).bytes() - device_memory(v3, kV3, 1).bytes();
  const DeviceMemory memory = device_memory(v3, kV3, 1);
  EXPECT_NEAR(more, memory.experts.weight_bytes + memory.dense.weight_bytes, 1);
}

TEST(DeviceMemory, OneGpuHoldsAll) {
  const DeviceMemory memory =
      device_memory(model_preset("llm-7b").config, {}, 1, {2, 4, 12}, {2, 4, 12});
  EXPECT_DOUBLE_EQ(memory.bytes(), 18 * 6910365696.0);  // as of 7B's 126 GB
}

TEST(DeviceMemory, LayoutsThatDoNotFitAreRefused) {
  const ModelConfig& v3 = model_preset("v3").config;
  EXPECT_THROW(device_memory(v3, {2048, 62, 64, 1}, 1), Error);
  EXPECT_THROW(device_memory(v3, {2048, 16, 48, 1}, 1), Error);
  EXPECT_THROW(device_memory(v3, {100, 16, 64, 1}, 1), Error);
  EXPECT_THROW(device_memory(v3, {0, 1, 1, 1}, 1), Error);
  EXPECT_THROW(device_memory(v3, {128, 64, 1, 1}, 1), Error);
}

}  // namespace
}  // namespace fathom
