#include "checkpoint/value_check.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/float_bits.h"
#include "io/testing.h"

namespace fathom {
namespace {

template <class T>
std::string check_of(const std::string& name, const std::string& dtype, std::vector<T> values,
                     size_t place, T wrong) {
  const TemporaryFolder folder;
  values[place] = wrong;
  SafetensorsWriter writer(folder.file("model.safetensors"),
                           {{"fine", "F32", {3}},
                            {name, dtype, {static_cast<int64_t>(values.size())}},
                            {"ids", "I64", {1}}});
  const float fine[] = {1, -2, 3};
  const int64_t ids[] = {-1};
  writer.write("fine", std::as_bytes(std::span(fine)));
  writer.write("ids", std::as_bytes(std::span(ids)));
  writer.write(name, std::as_bytes(std::span(values)));
  writer.finish();
  return error_of([&] { check_values(SafetensorsFolder(folder.path())); });
}

TEST(CheckValues, FindsWhatIsNoNumberInEveryFloatType) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const size_t place : {0u, 1u, 63u, 777u, 3'000'000u, 3'000'002u}) {
    const std::string element = concat("element ", place, " is not a finite number");
    const auto found = [&](const std::string& error) {
      return error.find("tensor x in ") != error.npos && error.find(element) != error.npos;
    };
    const size_t size = 3'000'003;
    for (const float wrong : {kInfinity, -kInfinity, NAN}) {
      EXPECT_TRUE(found(check_of<float>("x", "F32", std::vector<float>(size, 1.5f), place, wrong)));
      EXPECT_TRUE(found(check_of<double>("x", "F64", std::vector<double>(size, -1e300), place,
                                         static_cast<double>(wrong))));
      EXPECT_TRUE(found(check_of<uint16_t>("x", "BF16", std::vector<uint16_t>(size, 0xbf80), place,
                                           f32_to_bf16(wrong))));
      EXPECT_TRUE(found(check_of<uint16_t>("x", "F16", std::vector<uint16_t>(size, 0x3c00), place,
                                           f32_to_f16(wrong))));
    }
    for (const uint8_t wrong : {uint8_t{0x7f}, uint8_t{0xff}})
      EXPECT_TRUE(
          found(check_of<uint8_t>("x", "F8_E4M3", std::vector<uint8_t>(size, 0xfe), place, wrong)));
  }
}

TEST(CheckValues, LetsEveryFiniteNumberPass) {
  std::vector<uint16_t> halves(1 << 16);
  for (const auto& [dtype, exponent] : {std::pair("BF16", 0x7f80), std::pair("F16", 0x7c00)}) {
    for (size_t i = 0; i < halves.size(); ++i)
      halves[i] = (i & static_cast<size_t>(exponent)) == static_cast<size_t>(exponent)
                      ? uint16_t{0}
                      : static_cast<uint16_t>(i);
    EXPECT_EQ(check_of<uint16_t>("x", dtype, halves, 0, 0), "");
  }
  std::vector<uint8_t> codes(256);
  for (size_t i = 0; i < codes.size(); ++i)
    codes[i] = (i & 0x7f) == 0x7f ? 0 : static_cast<uint8_t>(i);
  EXPECT_EQ(check_of<uint8_t>("x", "F8_E4M3", codes, 0, 0), "");
  constexpr float kMost = std::numeric_limits<float>::max();
  EXPECT_EQ(check_of<float>("x", "F32", {kMost, -kMost, 1e-40f, -0.0f, 7}, 4, 3.0f), "");
  // Bits of other types mean nothing here.
  EXPECT_EQ(check_of<int32_t>("x", "I32", {0x7f800000, -1}, 0, -1), "");
}

TEST(CheckValues, ExpectsScalesAboveZero) {
  for (const float wrong : {0.0f, -1.0f}) {
    const std::string error =
        check_of<float>("a.weight_scale_inv", "F32", std::vector<float>(9, 0.5f), 8, wrong);
    EXPECT_NE(error.find("element 8 is not a factor above 0"), error.npos) << error;
  }
}

}  // namespace
}  // namespace fathom
