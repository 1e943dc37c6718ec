#include "app/inspection.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "io/files.h"
#include "io/testing.h"

namespace fathom {
namespace {

TEST(Inspection, TellsOfAPresetItsShapeAlone) {
  const Inspection found = inspect_path("v3");
  EXPECT_FALSE(found.has_weights);
  const std::string text = inspection_text(found, false);
  EXPECT_NE(text.find("671,026,419,200 in all, 37,552,297,472 active"), std::string::npos) << text;
  EXPECT_EQ(text.find("weights"), std::string::npos) << text;
}

TEST(Inspection, CountsElementsWithoutOverflow) {
  TensorRow row;
  row.shape = {int64_t{1} << 62, 4, 0};
  EXPECT_EQ(row.elements(), 0);
  row.shape = {};
  EXPECT_EQ(row.elements(), 1);
}

TEST(Inspection, SumsTensorsByTheirDType) {
  Inspection found;
  found.tensors = {{"a", "F8_E4M3", "f", {128, 256}, 32768},
                   {"a_scale_inv", "F32", "f", {1, 2}, 8},
                   {"b", "F32", "f", {3}, 12}};
  const Json dtypes = inspection_json(found).at("dtypes");
  EXPECT_EQ(dtypes.at("F8_E4M3").int_at("elements"), 32768);
  EXPECT_EQ(dtypes.at("F32").int_at("elements"), 5);
  EXPECT_EQ(dtypes.at("F32").int_at("bytes"), 20);
  EXPECT_EQ(dtypes.at("F32").int_at("tensors"), 2);
}

struct InspectionOfConfig : ::testing::Test {
  TemporaryFolder folder;

  Inspection with(const std::string& quantization) {
    Json config = inspection_json(inspect_path("v3")).at("config");
    config["quantization_config"] = parse_json(quantization, "test");
    write_file_atomically(folder.file("config.json"), config.dump());
    return inspect_path(folder.file("config.json"));
  }
};

TEST_F(InspectionOfConfig, SaysHowWeightsAreQuantised) {
  const Inspection found =
      with(R"({"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic",)"
           R"( "weight_block_size": [128, 128], "scale_fmt": "ue8m0"})");
  const std::string text = inspection_text(found, false);
  EXPECT_NE(text.find("fp8 e4m3 in blocks of 128 x 128, scales ue8m0 (powers of two), "
                      "activations dynamic"),
            std::string::npos)
      << text;
  EXPECT_EQ(inspection_json(found).at("quantization").string_at("scales"), "ue8m0");
}

TEST_F(InspectionOfConfig, FaultsAreFaultsOfTheModel) {
  for (const char* wrong :
       {R"({"quant_method": "awq"})",
        R"({"quant_method": "fp8", "weight_block_size": [128, 128], "scale_fmt": 3})"}) {
    try {
      with(wrong);
      ADD_FAILURE() << wrong;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kModel) << error.what();
    }
  }
}

}  // namespace
}  // namespace fathom
