#include "checkpoint/convert.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "base/float_bits.h"
#include "checkpoint/file_tensors.h"
#include "checkpoint/model_folder.h"
#include "io/testing.h"
#include "model/initial_weights.h"
#include "model/presets.h"

namespace fathom {
namespace {

// Small, with experts, query compression, a multi-token module and blocks with edges.
ModelConfig small_v3() {
  ModelConfig config = model_preset("v3-nano").config;
  config.vocab_size = 300;
  config.hidden_size = 160;
  config.q_lora_rank = 72;
  return config;
}

void write_small_v3(const std::string& folder, const WeightFormat& format) {
  const ModelConfig config = small_v3();
  Decoder decoder(config);
  save_model(decoder, nullptr, folder, format, {"small", ""},
             [&](const Parameter&, const ParameterPart& part, int64_t row, int64_t rows,
                 float* out) { initial_rows(part, 3, 0.02, row, rows, out); });
}

Conversion converted(const std::string& from, const std::string& to,
                     const ConvertOptions& options) {
  std::filesystem::create_directories(to);
  const Converter converter(from, options);
  converter.write(to);
  return converter.result();
}

// Name, dtype, shape and bytes of every tensor are the same.
void expect_same_tensors(const std::string& a, const std::string& b) {
  const SafetensorsFolder left(a), right(b);
  ASSERT_EQ(left.tensors().size(), right.tensors().size());
  for (const auto& [name, at] : left.tensors()) {
    ASSERT_TRUE(right.contains(name)) << name;
    const SafetensorsFolder::Location& other = right.at(name);
    EXPECT_EQ(at.entry->dtype, other.entry->dtype) << name;
    EXPECT_EQ(at.entry->shape, other.entry->shape) << name;
    EXPECT_TRUE(std::ranges::equal(left.bytes(name), right.bytes(name))) << name;
  }
}

int64_t count_of(const std::string& folder, const std::string& dtype) {
  int64_t count = 0;
  const SafetensorsFolder weights(folder);
  for (const auto& [name, at] : weights.tensors()) count += at.entry->dtype == dtype ? 1 : 0;
  return count;
}

Json config_of(const std::string& folder) {
  return parse_json(read_file(join_path(folder, "config.json")), folder);
}

TEST(Convert, CutsAndJoinsWithoutTouchingAByte) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16, DType::kF8E4M3}) {
    const TemporaryFolder folder;
    const std::string whole = folder.path(), cut = folder.file("cut"), joined = folder.file("one");
    write_small_v3(whole, {.dtype = dtype});
    const Conversion in_shards = converted(whole, cut, {.shard_bytes = 300'000});
    EXPECT_GT(list_directory(cut).size(), 5u);
    EXPECT_FALSE(exists(join_path(cut, "model.safetensors")));
    const Conversion in_one = converted(cut, joined, {});
    EXPECT_EQ(in_shards.tensors, in_one.tensors);
    EXPECT_EQ(in_one.bytes, SafetensorsFolder(whole).total_bytes());
    expect_same_tensors(whole, cut);
    expect_same_tensors(whole, joined);
    EXPECT_EQ(read_file(join_path(whole, "model.safetensors")).size(),
              read_file(join_path(joined, "model.safetensors")).size());
    EXPECT_EQ(config_of(whole), config_of(joined));
  }
}

// Scales that come from bf16 weights come back too; powers of two may halve where a block's largest
// code is 224, which changes no value.
TEST(Convert, Fp8ToBf16AndBackIsBitExact) {
  for (const bool power_of_two : {false, true}) {
    const TemporaryFolder folder;
    const std::string bf16 = folder.file("bf16"), fp8 = folder.file("fp8");
    const std::string again = folder.file("again"), back = folder.file("back");
    std::filesystem::create_directories(bf16);
    write_small_v3(bf16, {.dtype = DType::kBF16});
    const ConvertOptions to_fp8{.dtype = DType::kF8E4M3, .power_of_two = power_of_two};
    const Conversion first = converted(bf16, fp8, to_fp8);
    EXPECT_GT(count_of(fp8, "F8_E4M3"), 40);
    EXPECT_EQ(first.tensors - first.copied, 2 * count_of(fp8, "F8_E4M3"));
    const Conversion second = converted(fp8, again, {.dtype = DType::kBF16});
    EXPECT_EQ(count_of(again, "F8_E4M3"), 0);
    EXPECT_EQ(second.tensors, count_of(bf16, "BF16") + count_of(bf16, "F32"));
    converted(again, back, to_fp8);
    if (power_of_two) {
      converted(back, folder.file("last"), {.dtype = DType::kBF16});
      expect_same_tensors(again, folder.file("last"));
    } else {
      expect_same_tensors(fp8, back);
    }
    EXPECT_EQ(config_of(back), config_of(fp8));
  }
}

// Scales of any f32, as trained models have them: the codes come back, and with their new scales
// they are worth what they were, to the last bit of the dtype between.
TEST(Convert, KeepsCodesAndValuesOfForeignScales) {
  for (const DType between : {DType::kBF16, DType::kF32}) {
    const TemporaryFolder folder;
    const std::string fp8 = folder.file("fp8"), wide = folder.file("wide"),
                      back = folder.file("back"), again = folder.file("again");
    std::filesystem::create_directories(fp8);
    write_small_v3(fp8, {.dtype = DType::kF8E4M3});
    converted(fp8, wide, {.dtype = between});
    converted(wide, back, {.dtype = DType::kF8E4M3});
    converted(back, again, {.dtype = between});
    expect_same_tensors(wide, again);
    const SafetensorsFolder before(fp8), after(back);
    int64_t changed = 0;
    for (const auto& [name, at] : before.tensors()) {
      const bool same = std::ranges::equal(before.bytes(name), after.bytes(name));
      EXPECT_TRUE(same || name.ends_with("_scale_inv")) << name;
      changed += same ? 0 : 1;
    }
    EXPECT_EQ(changed > 0, between == DType::kBF16);
  }
}

TEST(Convert, Fp8ToBf16RoundsEachProductOnce) {
  const TemporaryFolder folder;
  const std::string fp8 = folder.path(), bf16 = folder.file("bf16");
  write_small_v3(fp8, {.dtype = DType::kF8E4M3});
  converted(fp8, bf16, {.dtype = DType::kBF16});
  const SafetensorsFolder from(fp8), to(bf16);
  int64_t compared = 0;
  for (const auto& [name, at] : from.tensors()) {
    if (at.entry->dtype != "F8_E4M3") continue;
    const auto codes = from.bytes(name), halves = to.bytes(name);
    const auto* scales = reinterpret_cast<const float*>(from.bytes(name + "_scale_inv").data());
    const int64_t cols = at.entry->shape[1], across = (cols + 127) / 128;
    for (size_t i = 0; i < codes.size(); ++i) {
      const auto r = static_cast<int64_t>(i) / cols, c = static_cast<int64_t>(i) % cols;
      const float value =
          f8e4m3_to_f32(static_cast<uint8_t>(codes[i])) * scales[r / 128 * across + c / 128];
      ASSERT_EQ(reinterpret_cast<const uint16_t*>(halves.data())[i], f32_to_bf16(value))
          << name << " " << r << " " << c;
      ++compared;
    }
  }
  EXPECT_GT(compared, 100'000);
}

TEST(Convert, ChangesOnlyTheKeysOfStorageInTheConfig) {
  const TemporaryFolder folder;
  write_small_v3(folder.path(), {.dtype = DType::kF32});
  Json config = config_of(folder.path());
  config["auto_map"] = Json::object({{"AutoModel", "modeling.Model"}});
  config["dtype"] = "float32";
  write_file_atomically(folder.file("config.json"), config.dump(2));
  write_file_atomically(folder.file("chat_template.jinja"), "{{ messages }}");
  write_file_atomically(folder.file("pytorch_model.bin"), "pickled");
  std::filesystem::create_directories(folder.file("figures"));

  const std::string fp8 = folder.file("fp8"), f16 = folder.file("f16");
  converted(folder.path(), fp8, {.dtype = DType::kF8E4M3, .power_of_two = true});
  Json expected = config;
  expected["torch_dtype"] = expected["dtype"] = "bfloat16";
  expected["quantization_config"] = Json::object({{"quant_method", "fp8"},
                                                  {"fmt", "e4m3"},
                                                  {"activation_scheme", "dynamic"},
                                                  {"weight_block_size", Json::array({128, 128})},
                                                  {"scale_fmt", "ue8m0"}});
  EXPECT_EQ(config_of(fp8).dump(), expected.dump());
  EXPECT_EQ(read_file(join_path(fp8, "chat_template.jinja")), "{{ messages }}");
  EXPECT_FALSE(exists(join_path(fp8, "pytorch_model.bin")));
  EXPECT_FALSE(exists(join_path(fp8, "figures")));

  converted(fp8, f16, {.dtype = DType::kF16});
  expected["torch_dtype"] = expected["dtype"] = "float16";
  expected.erase("quantization_config");
  EXPECT_EQ(config_of(f16).dump(), expected.dump());
}

TEST(Convert, RenamesForTheReferenceDemoAndBack) {
  const TemporaryFolder folder;
  const std::string demo = folder.file("demo"), back = folder.file("back");
  write_small_v3(folder.path(), {.dtype = DType::kF8E4M3});
  const Conversion there = converted(folder.path(), demo, {.names = NamingScheme::kReference});
  EXPECT_GT(there.left_out, 10);  // the multi-token module
  const SafetensorsFile file(join_path(demo, "model0-mp1.safetensors"));
  for (const char* name : {"embed.weight",
                           "head.weight",
                           "norm.weight",
                           "layers.0.attn_norm.weight",
                           "layers.1.ffn_norm.weight",
                           "layers.1.attn.wq_a.weight",
                           "layers.1.attn.wq_a.scale",
                           "layers.1.attn.q_norm.weight",
                           "layers.1.attn.wq_b.weight",
                           "layers.1.attn.wkv_a.weight",
                           "layers.1.attn.kv_norm.weight",
                           "layers.1.attn.wkv_b.scale",
                           "layers.1.attn.wo.weight",
                           "layers.0.ffn.w1.weight",
                           "layers.0.ffn.w2.weight",
                           "layers.0.ffn.w3.scale",
                           "layers.1.ffn.gate.weight",
                           "layers.1.ffn.gate.bias",
                           "layers.1.ffn.experts.3.w2.weight",
                           "layers.1.ffn.shared_experts.w3.scale"})
    EXPECT_NE(file.find(name), nullptr) << name;
  EXPECT_EQ(static_cast<int64_t>(file.entries().size()), there.tensors);

  // Loading needs no word about the names.
  const auto memory = make_host_allocator();
  const LoadedModel model = load_model(demo, *memory, WeightsFor::kInference);
  EXPECT_EQ(model.config().num_nextn_predict_layers, 0);
  const Conversion returned = converted(demo, back, {});
  EXPECT_EQ(returned.tensors, there.tensors);
  const SafetensorsFolder original(folder.path()), last(back);
  for (const auto& [name, at] : last.tensors())
    EXPECT_TRUE(std::ranges::equal(original.bytes(name), last.bytes(name))) << name;
}

TEST(Convert, MakesScalesPowersOfTwoWhereAsked) {
  const TemporaryFolder folder;
  const std::string rounded = folder.file("rounded"), again = folder.file("again");
  write_small_v3(folder.path(), {.dtype = DType::kF8E4M3});
  EXPECT_LT(converted(folder.path(), rounded, {.power_of_two = true}).copied, 100);
  const SafetensorsFolder weights(rounded);
  for (const auto& [name, at] : weights.tensors()) {
    if (!name.ends_with("_scale_inv")) continue;
    const ConstView scales = file_view(weights, name, Shape(at.entry->shape));
    int exponent;
    EXPECT_EQ(std::frexp(scales.row<float>(0)[0], &exponent), 0.5f) << name;
  }
  EXPECT_EQ(config_of(rounded).at("quantization_config").string_at("scale_fmt"), "ue8m0");
  const Conversion same = converted(rounded, again, {.power_of_two = true});
  EXPECT_EQ(same.copied + count_of(again, "F8_E4M3"), same.tensors);
  expect_same_tensors(rounded, again);
}

TEST(Convert, RefusesReferenceNamesForOtherModels) {
  const TemporaryFolder folder;
  ModelConfig config = model_preset("llm-nano").config;
  config.vocab_size = 300;
  Decoder decoder(config);
  const std::string error = error_of([&] {
    save_model(decoder, nullptr, folder.path(), {}, {"", ""},
               [](const Parameter&, const ParameterPart& part, int64_t, int64_t rows, float* out) {
                 std::fill_n(out, rows * part.shape.cols(), 0.0f);
               });
    Converter(folder.path(), {.names = NamingScheme::kReference});
  });
  EXPECT_NE(error.find("is a llama model"), std::string::npos) << error;
}

}  // namespace
}  // namespace fathom
