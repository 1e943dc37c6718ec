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
    save_weights(saved, folder.path(), {.dtype = dtype});
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
  return rounded_tensor(
      name, shape, dtype,
      [cols = shape.cols()](int64_t row, int64_t rows, float* out) {
        for (int64_t r = 0; r < rows; ++r) {
          for (int64_t c = 0; c < cols; ++c) *out++ = exact_value(row + r, c);
        }
      },
      true);
}

TEST(WriteWeights, CutsIntoShardsThatReadBackExactly) {
  const Shape shape{300, 200};  // edges of blocks in both directions
  const std::vector<WrittenTensor> tensors = {exact_tensor("a", shape, DType::kF8E4M3),
                                              exact_tensor("b", shape, DType::kBF16),
                                              exact_tensor("c", shape, DType::kF32)};
  for (const int64_t shard_bytes : {int64_t{0}, int64_t{100'000}, int64_t{200'000}}) {
    const TemporaryFolder folder;
    WeightFiles files;
    files.shard_bytes = shard_bytes;
    std::vector<uint64_t> told;
    write_weights(tensors, folder.path(), files, [&](uint64_t done, uint64_t total) {
      EXPECT_EQ(total, 60'000u + 24 + 120'000 + 240'000);
      told.push_back(done);
    });
    EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
    EXPECT_EQ(told.back(), 420'024u);
    EXPECT_EQ(exists(folder.file("model.safetensors")), shard_bytes == 0);
    const int64_t shards = shard_bytes == 100'000 ? 3 : 2;  // 60, 120 and 240 KB
    EXPECT_EQ(exists(folder.file(safetensors_shard_name(shards, shards))), shard_bytes != 0);
    const SafetensorsFolder read(folder.path());
    EXPECT_EQ(read.tensors().size(), 4u);  // one has scales
    std::vector<float> values(static_cast<size_t>(shape.elements()));
    for (const char* name : {"a", "b", "c"}) {
      rows_to_f32(file_view(read, name, shape), 0, shape.rows(), values.data());
      for (int64_t i = 0; i < shape.elements(); ++i) {
        ASSERT_EQ(values[static_cast<size_t>(i)], exact_value(i / shape.cols(), i % shape.cols()))
            << name << " element " << i;
      }
    }
  }
}

TEST(WriteWeights, RefusesValuesThatTheDtypeCannotHold) {
  const TemporaryFolder folder;
  const auto refusal = [&](DType dtype, float value) {
    const auto read = [&](int64_t, int64_t rows, float* out) {
      std::fill_n(out, rows * 2, 1.0f);
      out[3] = value;
    };
    return error_of([&] {
      write_weights({rounded_tensor("some.weight", {2, 2}, dtype, read)}, folder.path());
    });
  };
  EXPECT_EQ(refusal(DType::kF16, 65504.0f), "");
  EXPECT_NE(refusal(DType::kF16, -65520.0f).find("some.weight holds -65520, which f16"),
            std::string::npos);
  EXPECT_EQ(refusal(DType::kBF16, 1e30f), "");
  EXPECT_EQ(refusal(DType::kF8E4M3, 1e30f), "");
  for (const float wrong : {NAN, INFINITY})
    EXPECT_NE(refusal(DType::kF8E4M3, wrong).find("expected finite"), std::string::npos);
  EXPECT_TRUE(list_directory(folder.path()).empty());  // the last was refused
}

}  // namespace
}  // namespace fathom
