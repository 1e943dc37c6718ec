// Weights that stay in their files as bf16, f16 or FP8 give the bits that their values give in f32.
#include <gtest/gtest.h>

#include "base/cpu.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/weights.h"
#include "data/packing.h"
#include "generate/engine.h"
#include "io/testing.h"
#include "test_device.h"

namespace fathom {
namespace {

constexpr const char* kModels[] = {"llama_gqa", "llama_tied", "deepseek_v3_q_lora",
                                   "deepseek_v3_q_full", "deepseek_v3_mtp"};
constexpr DType kDTypes[] = {DType::kBF16, DType::kF16, DType::kF8E4M3};

std::string vectors_folder(const char* name) {
  return std::string(FATHOM_SOURCE_DIR) + "/tests/vectors/" + name;
}

struct Answer {
  std::vector<int32_t> ids;
  std::vector<float> hidden;
  bool operator==(const Answer&) const = default;
};

Answer answer(Device& device, Decoder& decoder) {
  const std::vector<int32_t> prompt = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8};
  BatchBuilder builder({0, true});
  const std::vector<float> weights(prompt.size(), 1.0f);
  builder.add(prompt, weights, static_cast<int64_t>(prompt.size()));
  const Batch batch = builder.finish();
  Pass pass = device.pass();
  const Tensor hidden = decoder.forward(pass, batch.ids, batch.layout);
  Answer result;
  result.hidden.assign(hidden.data<float>(), hidden.data<float>() + hidden.shape().elements());

  EngineConfig config;
  Engine engine(device.kernels(), device.memory(), decoder, config);
  Request request;
  request.prompt = prompt;
  request.max_tokens = 16;
  request.sampling.temperature = 0;
  result.ids = generate(engine, {request})[0][0].ids;
  return result;
}

// The weights of `folder`, as f32 values or where they lie.
std::unique_ptr<Decoder> decoder_of(Device& device, const std::string& folder, bool stored) {
  LoadedModel model = load_model(folder, device.memory(), WeightsFor::kTraining);
  auto decoder = std::make_unique<Decoder>(model.config());
  const auto weights = std::make_shared<const SafetensorsFolder>(folder);
  if (stored) keep_stored(*decoder, weights);
  decoder->allocate(device.memory());
  load_weights(*decoder, *weights);
  return decoder;
}

int64_t stored_count(Decoder& decoder) {
  int64_t count = 0;
  for (const Parameter* p : decoder.parameters()) count += p->stored ? 1 : 0;
  return count;
}

TEST(StoredWeights, GiveTheBitsOfTheirValuesInF32) {
  std::vector<DeviceConfig> configs(1);
  if (request_amx()) configs.push_back({.precision = Precision::kBF16});
  for (const DeviceConfig& config : configs) {
    Device device = config.precision == Precision::kF32 ? test_device() : Device::open(config);
    for (const char* name : kModels) {
      LoadedModel model = load_model(vectors_folder(name), device.memory(), WeightsFor::kTraining);
      for (const DType dtype : kDTypes) {
        SCOPED_TRACE(concat(name, " ", info(dtype).name, " ", fathom::name(config.precision)));
        TemporaryFolder folder;
        save_model(*model.decoder, nullptr, folder.path(), {.dtype = dtype}, {"a copy", ""});
        const std::unique_ptr<Decoder> stored = decoder_of(device, folder.path(), true);
        const std::unique_ptr<Decoder> loaded = decoder_of(device, folder.path(), false);
        EXPECT_GT(stored_count(*stored), 8);
        EXPECT_EQ(stored_count(*loaded), 0);
        EXPECT_TRUE(answer(device, *stored) == answer(device, *loaded));
      }
    }
  }
}

TEST(StoredWeights, OfFp8WithoutScalesAreRefusedByName) {
  Device device = test_device();
  LoadedModel model =
      load_model(vectors_folder("deepseek_v3_q_lora"), device.memory(), WeightsFor::kTraining);
  TemporaryFolder folder;
  save_model(*model.decoder, nullptr, folder.path(), {.dtype = DType::kF8E4M3}, {"a copy", ""});
  // The same file without one of its tensors.
  const std::string missing = "model.layers.1.self_attn.o_proj.weight_scale_inv";
  {
    const SafetensorsFile file(folder.file("model.safetensors"));
    std::vector<SafetensorSpec> specs;
    for (const SafetensorEntry& entry : file.entries()) {
      if (entry.name != missing) specs.push_back({entry.name, entry.dtype, entry.shape});
    }
    SafetensorsWriter writer(folder.file("other.safetensors"), specs);
    for (const SafetensorEntry& entry : std::vector<SafetensorEntry>(writer.entries()))
      writer.write(entry.name, file.bytes(*file.find(entry.name)));
    writer.finish();
  }
  std::filesystem::rename(folder.file("other.safetensors"), folder.file("model.safetensors"));
  const std::string error =
      error_of([&] { load_model(folder.path(), device.memory(), WeightsFor::kInference); });
  EXPECT_NE(error.find("o_proj.weight"), std::string::npos) << error;
  EXPECT_NE(error.find(missing), std::string::npos) << error;
}

}  // namespace
}  // namespace fathom
