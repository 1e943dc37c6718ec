#include "ops/fp8_groups.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "base/float_bits.h"
#include "base/random.h"
#include "ops/stored.h"

namespace fathom {
namespace {

// x[i] = (i − 64) · 0.01: the group that the text-model notes (A.3) work out.
std::vector<float> slope() {
  std::vector<float> x(128);
  for (int i = 0; i < 128; ++i) x[static_cast<size_t>(i)] = static_cast<float>((i - 64) * 0.01);
  return x;
}

float value(const Fp8Groups& groups, size_t i) {
  return f8e4m3_to_f32(groups.codes[i]) * groups.scales[i / 128];
}

std::vector<float> normal_values(uint64_t seed, int64_t count) {
  const RandomKey key{seed, Purpose::kInit, 0};
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i)
    values.push_back(static_cast<float>(key.normal(static_cast<uint64_t>(i))));
  return values;
}

TEST(Fp8Groups, HaveTheCodesOfTheNotes) {
  const Fp8Groups groups = to_fp8_groups(slope().data(), 1, 128);
  ASSERT_EQ(groups.scales.size(), 1u);
  EXPECT_EQ(std::bit_cast<uint32_t>(groups.scales[0]), 0x3ABB3EE7u);
  const std::pair<size_t, int> codes[] = {{0, 0xFE},  {1, 0xFE},   {2, 0xFE},  {3, 0xFD},
                                          {63, 0xCE}, {64, 0x00},  {65, 0x4E}, {66, 0x56},
                                          {70, 0x62}, {100, 0x78}, {127, 0x7E}};
  for (const auto& [i, code] : codes) EXPECT_EQ(groups.codes[i], code) << i;
  EXPECT_NEAR(value(groups, 63), -0.01, 1e-9);
  EXPECT_NEAR(value(groups, 100), 0.3657143, 5e-8);
  EXPECT_NEAR(value(groups, 127), 0.64, 1e-7);
}

TEST(Fp8Groups, HaveTheCodesOfTheNotesWithPowersOfTwo) {
  const Fp8Groups groups = to_fp8_groups(slope().data(), 1, 128, true);
  EXPECT_EQ(groups.scales[0], 0.001953125f);
  const std::pair<size_t, int> codes[] = {{0, 0xFA},  {3, 0xFA},  {63, 0xCA},  {65, 0x4A},
                                          {66, 0x52}, {70, 0x5F}, {100, 0x74}, {127, 0x7A}};
  for (const auto& [i, code] : codes) EXPECT_EQ(groups.codes[i], code) << i;
}

TEST(Fp8Groups, OfZerosAndOfTinyValuesAreFinite) {
  std::vector<float> x(200, 0.0f);  // the second group is an edge
  x[130] = 1e-5f;                   // below the floor: not stretched to the largest code
  const Fp8Groups groups = to_fp8_groups(x.data(), 1, 200);
  ASSERT_EQ(groups.scales.size(), 2u);
  for (const float scale : groups.scales) EXPECT_EQ(scale, 1e-4f / 448.0f);
  for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(value(groups, i), x[i], 1e-5 / 16) << i;
  EXPECT_EQ(groups.codes[0], 0);
  EXPECT_LT(groups.codes[130], 0x7E);
}

TEST(Fp8Groups, DoNotDependOnOtherRows) {
  std::vector<float> x = normal_values(1, 3 * 300);
  const Fp8Groups alone = to_fp8_groups(x.data() + 300, 1, 300);
  for (int64_t i = 0; i < 300; ++i) x[static_cast<size_t>(i)] = 1e6f;  // a neighbour of other size
  const Fp8Groups among = to_fp8_groups(x.data(), 3, 300);
  for (size_t i = 0; i < 300; ++i) EXPECT_EQ(among.codes[300 + i], alone.codes[i]) << i;
  for (size_t g = 0; g < 3; ++g) EXPECT_EQ(among.scales[3 + g], alone.scales[g]) << g;
}

TEST(Fp8Scale, IsRoundedUpByItsBits) {
  EXPECT_EQ(fp8_scale(448, true), 1.0f);
  EXPECT_EQ(fp8_scale(448, false), 1.0f);
  EXPECT_EQ(fp8_scale(0, true), 1.0f);
  EXPECT_EQ(fp8_scale(0, false), 1.0f);
  EXPECT_EQ(fp8_scale(1e-45f, false), 1.0f);  // a scale that f32 does not hold
  for (const int exponent : {-100, -9, 0, 9, 100}) {
    const float power = std::ldexp(1.0f, exponent);
    const float above = std::nextafter(power, INFINITY), below = std::nextafter(power, 0.0f);
    EXPECT_EQ(fp8_scale(448 * power, true), power);
    EXPECT_EQ(fp8_scale(448 * below, true), power);
    // Its logarithm in f32 is that of the power.
    EXPECT_EQ(fp8_scale(448 * above, true), 2 * power) << exponent;
  }
}

// The product of rows of codes with a matrix of codes, as the header has it.
std::vector<double> grouped_product(const Fp8Groups& x, int64_t rows, const ConstView& w) {
  const int64_t cols = w.cols(), across = (cols + 127) / 128;
  std::vector<double> y;
  for (int64_t m = 0; m < rows; ++m) {
    for (int64_t n = 0; n < w.rows(); ++n) {
      double sum = 0;
      for (int64_t g = 0; g < across; ++g) {
        double part = 0;
        for (int64_t k = g * 128; k < std::min(cols, (g + 1) * 128); ++k) {
          part += static_cast<double>(f8e4m3_to_f32(x.codes[static_cast<size_t>(m * cols + k)])) *
                  static_cast<double>(f8e4m3_to_f32(w.row<uint8_t>(n)[k]));
        }
        sum += part * static_cast<double>(x.scales[static_cast<size_t>(m * across + g)]) *
               static_cast<double>(w.scales.of(n, g * 128));
      }
      y.push_back(sum);
    }
  }
  return y;
}

// The two ways to run an FP8 model: activations rounded to codes, or not.
TEST(Fp8Groups, GiveProductsNearThoseOfTheirValues) {
  constexpr int64_t kRows = 16, kOut = 150, kIn = 300;
  const std::vector<float> x = normal_values(2, kRows * kIn);
  std::vector<uint8_t> codes;
  for (const float w : normal_values(3, kOut * kIn)) codes.push_back(f32_to_f8e4m3(64 * w));
  const std::vector<float> scales = {0.5f, 2.0f, 0.25f, 4.0f, 1.0f, 0.125f};  // [2, 3]
  const ConstView w{codes.data(), DType::kF8E4M3, {kOut, kIn}, kIn, {scales.data(), 3, 0, 0}};
  for (const bool power_of_two : {false, true}) {
    const std::vector<double> got =
        grouped_product(to_fp8_groups(x.data(), kRows, kIn, power_of_two), kRows, w);
    double dot = 0, norm = 0, got_norm = 0;
    for (int64_t m = 0; m < kRows; ++m) {
      for (int64_t n = 0; n < kOut; ++n) {
        double expected = 0;
        for (int64_t k = 0; k < kIn; ++k) {
          expected += static_cast<double>(x[static_cast<size_t>(m * kIn + k)]) *
                      static_cast<double>(stored_element(w, n, k));
        }
        const double y = got[static_cast<size_t>(m * kOut + n)];
        dot += y * expected;
        norm += expected * expected;
        got_norm += y * y;
      }
    }
    EXPECT_GT(dot / std::sqrt(norm * got_norm), 0.999);
  }
}

}  // namespace
}  // namespace fathom
