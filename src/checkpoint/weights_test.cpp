#include "checkpoint/weights.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/float_bits.h"
#include "io/testing.h"
#include "model/presets.h"

namespace fathom {
namespace {

ModelConfig config_of_large_tensors() {
  ModelConfig config = model_preset("llm-nano").config;
  config.vocab_size = 70'000;  // its embedding is read in several pieces, in bf16 too
  return config;
}

TEST(LoadWeights, TellsWhatItHasReadAndReadsAllOfIt) {
  const auto memory = make_host_allocator();
  const TemporaryFolder folder;
  Decoder saved(config_of_large_tensors()), loaded(config_of_large_tensors());
  saved.allocate(*memory);
  saved.initialize(1);
  loaded.allocate(*memory);
  for (const DType dtype : {DType::kBF16, DType::kF32}) {
    save_weights(saved, folder.path(), dtype);
    const SafetensorsFolder weights(folder.path());
    std::vector<uint64_t> read;
    load_weights(loaded, weights, [&](uint64_t bytes, uint64_t total) {
      EXPECT_EQ(total, weights.total_bytes());
      read.push_back(bytes);
    });
    EXPECT_GT(read.size(), weights.tensors().size());  // large tensors tell on their way
    EXPECT_TRUE(std::is_sorted(read.begin(), read.end()));
    EXPECT_EQ(read.back(), weights.total_bytes());
    const ParameterList from = saved.parameters(), to = loaded.parameters();
    for (size_t i = 0; i < from.size(); ++i) {
      const float* a = from[i]->value.data<float>();
      const auto stored = [&](float x) {
        return dtype == DType::kF32 ? x : bf16_to_f32(f32_to_bf16(x));
      };
      EXPECT_TRUE(std::equal(a, a + from[i]->declared.elements(), to[i]->value.data<float>(),
                             [&](float x, float y) { return stored(x) == y; }))
          << from[i]->name << " as " << info(dtype).name;
    }
  }
}

}  // namespace
}  // namespace fathom
