#include "checkpoint/weights.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/float_bits.h"
#include "checkpoint/file_tensors.h"
#include "checkpoint/weight_writer.h"
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

// Values that FP8 with scales of powers of two holds exactly.
float exact_value(int64_t row, int64_t col) {
  const float code = f8e4m3_to_f32(static_cast<uint8_t>((row * 7 + col * 3) % 0x7f));
  return (row + col) % 2 == 0 ? code : -code;
}

WrittenTensor exact_tensor(const std::string& name, const Shape& shape, DType dtype) {
  return {name, shape, dtype, [cols = shape.cols()](int64_t row, int64_t rows, float* out) {
            for (int64_t r = 0; r < rows; ++r) {
              for (int64_t c = 0; c < cols; ++c) *out++ = exact_value(row + r, c);
            }
          }};
}

TEST(WriteWeights, CutsIntoShardsThatReadBackExactly) {
  const Shape shape{300, 200};  // edges of blocks in both directions
  const std::vector<WrittenTensor> tensors = {exact_tensor("a", shape, DType::kF8E4M3),
                                              exact_tensor("b", shape, DType::kBF16),
                                              exact_tensor("c", shape, DType::kF32)};
  for (const int64_t shard_bytes : {int64_t{0}, int64_t{100'000}, int64_t{200'000}}) {
    const TemporaryFolder folder;
    write_weights(tensors, folder.path(), {.shard_bytes = shard_bytes, .power_of_two = true});
    EXPECT_EQ(exists(folder.file("model.safetensors")), shard_bytes == 0);
    const int64_t shards = shard_bytes == 100'000 ? 3 : 2;  // 60, 120 and 240 KB
    EXPECT_EQ(exists(folder.file(safetensors_shard_name(shards, shards))), shard_bytes != 0);
    const SafetensorsFolder read(folder.path());
    EXPECT_EQ(read.tensors().size(), 4u);  // one has scales
    std::vector<float> values(static_cast<size_t>(shape.elements()));
    for (const WrittenTensor& tensor : tensors) {
      rows_to_f32(file_view(read, tensor.name, shape), 0, shape.rows(), values.data());
      for (int64_t i = 0; i < shape.elements(); ++i) {
        ASSERT_EQ(values[static_cast<size_t>(i)], exact_value(i / shape.cols(), i % shape.cols()))
            << tensor.name << " element " << i;
      }
    }
  }
}

}  // namespace
}  // namespace fathom
