// The block codec through the code that models are read and written with, and the collected cases
// of its faults.
#include "checkpoint/fp8_weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "base/float_bits.h"
#include "checkpoint/file_tensors.h"
#include "checkpoint/weight_writer.h"
#include "checkpoint/weights.h"
#include "io/testing.h"
#include "model/testing.h"
#include "ops/stored.h"

namespace fathom {
namespace {

constexpr const char* kName = "model.layers.0.mlp.down_proj.weight";
constexpr const char* kScales = "model.layers.0.mlp.down_proj.weight_scale_inv";

// A model whose down_proj has the shape of a case.
ModelConfig config_around(const Shape& matrix) {
  ModelConfig config;
  config.vocab_size = 3;
  config.hidden_size = matrix.rows();
  config.intermediate_size = matrix.cols();
  config.num_hidden_layers = config.num_attention_heads = config.num_key_value_heads = 1;
  config.head_dim = 2;
  return config;
}

struct Matrix {
  std::vector<uint8_t> codes;
  Shape scale_shape;
  std::vector<float> scales;  // empty: no tensor of scales
};

// The whole model, its down_proj as given and all else ones in f32.
void write_model(const ModelConfig& config, const Matrix& matrix, const std::string& folder,
                 bool scales_apart = false) {
  Decoder decoder(config);
  std::vector<SafetensorSpec> specs;
  for (const Parameter* p : decoder.parameters()) {
    for (const ParameterPart& part : p->parts)
      specs.push_back({part.name, part.name == kName ? "F8_E4M3" : "F32", part.shape.to_vector()});
  }
  const SafetensorSpec scales{kScales, "F32", matrix.scale_shape.to_vector()};
  if (!matrix.scales.empty() && !scales_apart) specs.push_back(scales);
  if (scales_apart) {
    SafetensorsWriter writer(join_path(folder, "scales.safetensors"), {scales});
    writer.write(kScales, std::as_bytes(std::span(matrix.scales)));
    writer.finish();
  }
  SafetensorsWriter writer(
      join_path(folder, scales_apart ? "rest.safetensors" : "model.safetensors"), specs);
  for (const SafetensorEntry& entry : std::vector<SafetensorEntry>(writer.entries())) {
    if (entry.name == kName) {
      writer.write(entry.name, std::as_bytes(std::span(matrix.codes)));
    } else if (entry.name == kScales) {
      writer.write(entry.name, std::as_bytes(std::span(matrix.scales)));
    } else {
      const std::vector<float> ones((entry.end - entry.begin) / sizeof(float), 1.0f);
      writer.write(entry.name, std::as_bytes(std::span(ones)));
    }
  }
  writer.finish();
}

Shape shape_at(const Json& json, const char* key) {
  return {json.at(key).at(0).as_int(), json.at(key).at(1).as_int()};
}

// ((a*i + b*j) mod 127), or the same + 128*((i+j) mod 2), as the cases spell it.
uint8_t byte_at(std::string formula, int64_t i, int64_t j) {
  const bool signs = formula.find("128*((i+j) mod 2)") != formula.npos;
  formula.erase(0, formula.find_first_of("0123456789"));
  char* rest = nullptr;
  const int64_t a = std::strtoll(formula.c_str(), &rest, 10);
  EXPECT_EQ(std::string(rest).substr(0, 5), "*i + ");
  const int64_t b = std::strtoll(rest + 5, &rest, 10);
  EXPECT_EQ(std::string(rest).substr(0, 11), "*j) mod 127");
  return static_cast<uint8_t>((a * i + b * j) % 127 + (signs ? 128 * ((i + j) % 2) : 0));
}

Matrix matrix_of(const Json& input) {
  const Shape shape = shape_at(input, "shape");
  Matrix matrix;
  for (int64_t i = 0; i < shape.rows(); ++i) {
    for (int64_t j = 0; j < shape.cols(); ++j) {
      matrix.codes.push_back(input.contains("byte_at") ? byte_at(input.string_at("byte_at"), i, j)
                                                       : 0);
    }
  }
  if (const Json* rows = input.find("weight_scale_inv")) {
    matrix.scale_shape = {static_cast<int64_t>(rows->size()),
                          static_cast<int64_t>(rows->at(0).size())};
    for (const Json& row : rows->items()) {
      for (const Json& scale : row.items())
        matrix.scales.push_back(static_cast<float>(scale.as_double()));
    }
  } else if (!input.at("weight_scale_inv_shape").is_null()) {
    matrix.scale_shape = shape_at(input, "weight_scale_inv_shape");
    matrix.scales.assign(static_cast<size_t>(matrix.scale_shape.elements()), 1.0f);
  }
  return matrix;
}

const Parameter& parameter_of(Decoder& decoder, const std::string& part, const float*& values) {
  for (const Parameter* p : decoder.parameters()) {
    for (const ParameterPart& each : p->parts) {
      if (each.name != part) continue;
      if (!p->stored) values = p->value.data<float>() + p->first_element(each);
      return *p;
    }
  }
  fail(ErrorCode::kInternal, "no part ", part);
}

// `at(i, j)`: what the code under test makes of an element.
template <class Fn>
void expect_elements(const Json& expect, const Shape& shape, const Fn& at) {
  for (const Json& element : expect.at("elements").items()) {
    const int64_t i = element.int_at("i"), j = element.int_at("j");
    const auto value = static_cast<float>(element.double_at("value"));
    EXPECT_EQ(at(i, j), value) << i << ", " << j;
    EXPECT_EQ(std::signbit(at(i, j)), std::signbit(value)) << i << ", " << j;
  }
  double sum = 0;
  for (int64_t i = 0; i < shape.rows(); ++i) {
    for (int64_t j = 0; j < shape.cols(); ++j) sum += static_cast<double>(at(i, j));
  }
  EXPECT_EQ(sum, expect.double_at("sum_in_double"));
}

TEST(Fp8Weights, PassTheCollectedCasesOfBlockScales) {
  const Json::Array checks = testing::shared_checks("numerics/B19.json");
  if (checks.empty()) GTEST_SKIP() << "../shared/cases is absent";
  const auto memory = make_host_allocator();
  for (const Json& check : checks) {
    SCOPED_TRACE(check.string_at("name"));
    const Json &input = check.at("input"), &expect = check.at("expect");
    const Shape shape = shape_at(input, "shape");
    const ModelConfig config = config_around(shape);
    const TemporaryFolder folder;
    write_model(config, matrix_of(input), folder.path());
    const auto weights = std::make_shared<const SafetensorsFolder>(folder.path());
    Decoder loaded(config), stored(config);
    if (expect.contains("refused")) {
      std::string message = testing::refusal([&] { check_weights(loaded, *weights); });
      EXPECT_NE(message.find(kName), std::string::npos) << message;
      std::erase(message, ' ');
      if (const Json* names = expect.find("message_names")) {
        for (const Json& name : names->items())
          EXPECT_NE(message.find(name.as_string()), std::string::npos) << message;
      }
      continue;
    }
    loaded.allocate(*memory);
    load_weights(loaded, *weights);
    const float* values = nullptr;
    parameter_of(loaded, kName, values);
    expect_elements(expect, shape,
                    [&](int64_t i, int64_t j) { return values[i * shape.cols() + j]; });
    keep_stored(stored, weights);
    const Parameter& p = parameter_of(stored, kName, values);
    ASSERT_TRUE(p.stored);
    expect_elements(expect, shape, [&](int64_t i, int64_t j) {
      return stored_element(p.stored.parts.front(), i, j);
    });
  }
}

std::vector<float> flat(const Json& rows) {
  std::vector<float> values;
  for (const Json& row : rows.items()) {
    for (const Json& value : row.items()) values.push_back(static_cast<float>(value.as_double()));
  }
  return values;
}

TEST(Fp8Weights, PassTheCollectedCasesOfRoundedScales) {
  const Json::Array checks = testing::shared_checks("numerics/B20.json");
  if (checks.empty()) GTEST_SKIP() << "../shared/cases is absent";
  for (const Json& check : checks) {
    SCOPED_TRACE(check.string_at("name"));
    const Json &input = check.at("input"), &expect = check.at("expect");
    const std::vector<float> weight = flat(input.at("weight"));
    const auto rows = static_cast<int64_t>(input.at("weight").size());
    const Shape shape{rows, static_cast<int64_t>(weight.size()) / rows};
    const bool power_of_two = !input.at("scale_fmt").is_null();
    const TemporaryFolder folder;
    const auto read = [&](int64_t row, int64_t count, float* out) {
      std::copy_n(weight.data() + row * shape.cols(), count * shape.cols(), out);
    };
    write_weights({rounded_tensor("w", shape, DType::kF8E4M3, read, power_of_two)}, folder.path());
    const SafetensorsFolder written(folder.path());
    const ConstView view = file_view(written, "w", shape);
    EXPECT_EQ(view.scales.of(0, 0), static_cast<float>(expect.double_at("scale")));
    const Json::Array& bytes = expect.at("bytes").items();
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < shape.cols(); ++c) {
        const std::string& hex =
            bytes[static_cast<size_t>(r)].at(static_cast<size_t>(c)).as_string();
        EXPECT_EQ(view.row<uint8_t>(r)[c], std::strtol(hex.c_str(), nullptr, 16)) << r << ' ' << c;
      }
    }
    std::vector<float> back(weight.size());
    rows_to_f32(view, 0, rows, back.data());
    EXPECT_EQ(back, flat(expect.at("dequantised")));
  }
}

TEST(Fp8Weights, ScalesMayLieInAnotherFile) {
  const Shape shape{130, 129};
  const Matrix matrix{std::vector<uint8_t>(130 * 129, 0x38), {2, 2}, {0.5f, 2, 0.25f, 4}};
  const ModelConfig config = config_around(shape);
  const TemporaryFolder folder;
  write_model(config, matrix, folder.path(), true);
  const SafetensorsFolder weights(folder.path());
  const auto memory = make_host_allocator();
  Decoder decoder(config);
  decoder.allocate(*memory);
  load_weights(decoder, weights);
  const float* values = nullptr;
  parameter_of(decoder, kName, values);
  EXPECT_EQ(values[0], 0.5f);
  EXPECT_EQ(values[128], 2.0f);
  EXPECT_EQ(values[128 * 129], 0.25f);
  EXPECT_EQ(values[129 * 129 + 128], 4.0f);
}

// The padding of an edge block is zeros, which no maximum is taken from.
TEST(Fp8Weights, EdgeBlocksHaveScalesOfTheirOwn) {
  constexpr int64_t kRows = 130, kCols = 129;
  std::vector<float> values(kRows * kCols, 448.0f);
  for (int64_t r = 0; r < kRows; ++r) values[static_cast<size_t>(r * kCols + 128)] = -0.4375f;
  for (int64_t c = 0; c < kCols; ++c) {
    values[static_cast<size_t>(128 * kCols + c)] *= 2;
    values[static_cast<size_t>(129 * kCols + c)] = 0;
  }
  for (const bool power_of_two : {false, true}) {
    const Fp8Matrix matrix = to_fp8(values.data(), kRows, kCols, power_of_two);
    ASSERT_EQ(matrix.scales.size(), 4u);
    EXPECT_EQ(matrix.scales[0], 1.0f);
    EXPECT_EQ(matrix.scales[1], power_of_two ? 0x1p-10f : 0.4375f / 448);
    EXPECT_EQ(matrix.scales[2], 2.0f);
    EXPECT_EQ(matrix.scales[3], power_of_two ? 0x1p-9f : 0.875f / 448);
    EXPECT_EQ(matrix.codes[128 * kCols], 0x7E);
    EXPECT_EQ(matrix.codes[129 * kCols], 0x00);
    EXPECT_EQ(matrix.codes.size(), values.size());
  }
}

}  // namespace
}  // namespace fathom
