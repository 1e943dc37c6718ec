#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/float_bits.h"
#include "base/random.h"
#include "base/stop.h"
#include "base/text.h"

namespace fathom {
namespace {

TEST(Text, NearestNamesComeBestFirst) {
  const std::vector<std::string> names = {"warmup_steps", "peak_lr", "min_lr", "weight_decay"};
  EXPECT_EQ(nearest_names("peek_lr", names).front(), "peak_lr");
  EXPECT_EQ(nearest_names("warmup", names).front(), "warmup_steps") << "a part of the name is near";
  EXPECT_TRUE(nearest_names("zzzzzzzz", names).empty());
  EXPECT_TRUE(nearest_names("peak_lr", {}).empty());
}

TEST(Text, NearestNamesKeepsToItsLimit) {
  const std::vector<std::string> names = {"layer_a", "layer_b", "layer_c", "layer_d"};
  EXPECT_EQ(nearest_names("layer_x", names).size(), 3u);
  EXPECT_EQ(nearest_names("layer_x", names, 1).size(), 1u);
}

TEST(Text, DidYouMeanIsEmptyWhenNothingIsNear) {
  EXPECT_EQ(did_you_mean("--dat", {"--data", "--seed"}), "; did you mean --data?");
  EXPECT_EQ(did_you_mean("qqqqqqqqqq", {"--data"}), "");
}

TEST(Text, NumbersForPeopleScaleByThousands) {
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1.5e9), "1.5 GB");
  EXPECT_EQ(human_count(928600), "928.6 K");
  EXPECT_EQ(human_count(671e9), "671.0 B");
  EXPECT_EQ(human_count(12), "12");
  EXPECT_EQ(human_count(999.4), "999");
  EXPECT_EQ(human_count(999.6), "1.0 K") << "never 1000";
  EXPECT_EQ(human_count(999960), "1.0 M") << "never 1000.0 K";
}

TEST(Text, SecondsForPeopleNameTheirUnit) {
  EXPECT_EQ(human_seconds(0.85), "850 ms");
  EXPECT_EQ(human_seconds(12.34), "12.3 s");
  EXPECT_EQ(human_seconds(125), "2 min 05 s");
  EXPECT_EQ(human_seconds(3720), "1 h 02 min");
  EXPECT_EQ(human_seconds(0.9996), "1.0 s") << "never 1000 ms";
  EXPECT_EQ(human_seconds(59.96), "1 min 00 s") << "never 60.0 s";
  EXPECT_EQ(human_seconds(3599.7), "1 h 00 min");
}

TEST(Error, CheckThrowsTheJoinedMessageAndItsCode) {
  const auto broken = [] { FATHOM_CHECK(1 + 1 == 3, "dims are ", 2, ", expected ", 3); };
  try {
    broken();
    FAIL() << "passed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInternal);
    EXPECT_STREQ(error.what(), "dims are 2, expected 3");
  }
}

TEST(FloatBits, EveryBf16SurvivesTheRoundTrip) {
  for (uint32_t code = 0; code < 65536; ++code) {
    const auto bits = static_cast<uint16_t>(code);
    const float value = bf16_to_f32(bits);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(value)))) << code;
    } else {
      EXPECT_EQ(f32_to_bf16(value), bits) << code;
    }
  }
}

TEST(FloatBits, EveryF16SurvivesTheRoundTrip) {
  for (uint32_t code = 0; code < 65536; ++code) {
    const auto bits = static_cast<uint16_t>(code);
    const float value = f16_to_f32(bits);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(value)))) << code;
    } else {
      EXPECT_EQ(f32_to_f16(value), bits) << code;
    }
  }
}

// Halfway between two neighbours goes to the even code, a hair above to the upper one, a hair below
// to the lower one.
template <class Widen, class Narrow>
void check_rounding(uint16_t largest, Widen widen, Narrow narrow) {
  for (uint16_t code = 0; code < largest; ++code) {
    const auto upper = static_cast<uint16_t>(code + 1);
    const auto half = static_cast<float>(
        (static_cast<double>(widen(code)) + static_cast<double>(widen(upper))) / 2);
    EXPECT_EQ(narrow(half), code % 2 == 0 ? code : upper) << code;
    EXPECT_EQ(narrow(std::nextafter(half, 0.0f)), code) << code;
    EXPECT_EQ(narrow(std::nextafter(half, std::numeric_limits<float>::infinity())), upper) << code;
    EXPECT_EQ(narrow(-half), 0x8000 | (code % 2 == 0 ? code : upper)) << code;
  }
}

TEST(FloatBits, Bf16RoundsToNearestEven) {
  check_rounding(0x7F7F, bf16_to_f32, f32_to_bf16);
  const std::pair<float, float> values[] = {
      {1.00390625f, 1.0f}, {1.01171875f, 1.015625f}, {0.1f, 0.10009765625f}};
  for (const auto& [value, rounded] : values) EXPECT_EQ(bf16_to_f32(f32_to_bf16(value)), rounded);
}

TEST(FloatBits, F16RoundsToNearestEven) { check_rounding(0x7BFF, f16_to_f32, f32_to_f16); }

TEST(FloatBits, OverflowBecomesInfinity) {
  EXPECT_EQ(f32_to_f16(65519.0f), 0x7BFF);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7C00);
  EXPECT_EQ(f32_to_f16(-1e9f), 0xFC00);
  EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7F80);
}

TEST(Random, SameKeyAndIndexGiveTheSameBits) {
  const RandomKey key{.seed = 7, .purpose = Purpose::kInit, .step = 3, .layer = 2};
  const RandomKey same = key;
  for (uint64_t i = 0; i < 100; ++i) EXPECT_EQ(key.bits(i), same.bits(i));
}

TEST(Random, BitsOfAKeyNeverChangeBetweenVersions) {
  const RandomKey key{.seed = 1, .purpose = Purpose::kData, .step = 2, .layer = 3};
  EXPECT_EQ(key.bits(0), 0xD1961410B96407A0ull);
  EXPECT_EQ(key.bits(12345), 0x7DE73DBCB1494454ull);
}

TEST(Random, EveryPartOfTheKeyNamesAnotherStream) {
  const RandomKey key{.seed = 7, .purpose = Purpose::kInit, .step = 3, .layer = 2};
  RandomKey seed = key, purpose = key, step = key, layer = key;
  seed.seed = 8;
  purpose.purpose = Purpose::kData;
  step.step = 4;
  layer.layer = 3;
  for (const RandomKey& other : {seed, purpose, step, layer}) EXPECT_NE(key.bits(0), other.bits(0));
}

TEST(Random, UniformDrawsFillTheirBinsEvenly) {
  const RandomKey key{.seed = 11, .purpose = Purpose::kTest, .step = 0, .layer = 0};
  constexpr int kBins = 64, kDraws = 64000;
  std::vector<int> hits(kBins), below(kBins);
  for (uint64_t i = 0; i < kDraws; ++i) {
    const double u = key.uniform(i);
    ASSERT_TRUE(u >= 0 && u < 1) << u;
    ++hits[static_cast<size_t>(u * kBins)];
    ++below[key.below(i, kBins)];
  }
  // Chi-squared with 63 degrees of freedom: mean 63, deviation 11.2; bounds five deviations out.
  const auto chi_squared = [](const std::vector<int>& counts) {
    double sum = 0;
    for (const int count : counts) sum += std::pow(count - kDraws / kBins, 2) / (kDraws / kBins);
    return sum;
  };
  EXPECT_GT(chi_squared(hits), 7.0);
  EXPECT_LT(chi_squared(hits), 119.0);
  EXPECT_LT(chi_squared(below), 119.0);
}

TEST(Random, NormalDrawsHaveMeanZeroAndVarianceOne) {
  const RandomKey key{.seed = 5, .purpose = Purpose::kTest, .step = 0, .layer = 0};
  constexpr int kDraws = 100000;
  double sum = 0, squares = 0, neighbours = 0, previous = 0;
  for (uint64_t i = 0; i < kDraws; ++i) {
    const double x = key.normal(i);
    sum += x;
    squares += x * x;
    neighbours += x * previous;
    previous = x;
  }
  EXPECT_NEAR(sum / kDraws, 0, 0.016);  // five deviations of the mean
  EXPECT_NEAR(squares / kDraws, 1, 0.023);
  EXPECT_NEAR(neighbours / kDraws, 0, 0.016) << "draws beside each other are independent";
}

TEST(Random, HashTextSeparatesNearTexts) {
  EXPECT_NE(hash_text("12+34", 5), hash_text("12+35", 5));
  EXPECT_NE(hash_text("a", 1), hash_text("", 0));
}

TEST(Stop, FirstSignalAsksAndClearForgets) {
  clear_stop();
  EXPECT_FALSE(stop_requested());
  request_stop(SIGTERM);
  EXPECT_TRUE(stop_requested());
  EXPECT_EQ(stop_signal(), SIGTERM);
  clear_stop();
  EXPECT_FALSE(stop_requested());
  EXPECT_EQ(stop_signal(), 0);
}

TEST(Stop, HandlersTurnARealSignalIntoTheFlag) {
  clear_stop();
  install_stop_handlers();
  std::raise(SIGINT);
  EXPECT_EQ(stop_signal(), SIGINT);
  clear_stop();
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

TEST(StopDeathTest, SecondSignalEndsTheProcess) {
  clear_stop();
  EXPECT_EXIT(
      {
        request_stop(SIGINT);
        request_stop(SIGINT);
      },
      testing::ExitedWithCode(130), "");
}

TEST(FloatBits, Fp8CodesAreTheValuesOfE4M3) {
  const std::pair<uint8_t, float> values[] = {
      {0x00, 0.0f}, {0x01, 0.001953125f}, {0x07, 0.013671875f}, {0x08, 0.015625f}, {0x38, 1.0f},
      {0x3c, 1.5f}, {0x40, 2.0f},         {0x7e, 448.0f},       {0xb8, -1.0f},     {0xfe, -448.0f}};
  for (const auto& [code, value] : values) {
    EXPECT_EQ(f8e4m3_to_f32(code), value) << int{code};
    EXPECT_EQ(f32_to_f8e4m3(value), code) << value;
  }
  EXPECT_TRUE(std::isnan(f8e4m3_to_f32(0x7f)));
  EXPECT_TRUE(std::isnan(f8e4m3_to_f32(0xff)));
  EXPECT_TRUE(std::signbit(f8e4m3_to_f32(0x80)));
}

TEST(FloatBits, Fp8RoundsToTheNearestCodeAndTiesToEven) {
  for (int code = 0; code < 0x7e; ++code) {  // every code, and what lies between it and the next
    const float low = f8e4m3_to_f32(static_cast<uint8_t>(code));
    const float high = f8e4m3_to_f32(static_cast<uint8_t>(code + 1));
    const float middle = (low + high) / 2;
    EXPECT_EQ(f32_to_f8e4m3(low), code);
    EXPECT_EQ(f32_to_f8e4m3(std::nextafter(middle, low)), code);
    EXPECT_EQ(f32_to_f8e4m3(std::nextafter(middle, high)), code + 1);
    EXPECT_EQ(f32_to_f8e4m3(middle), code % 2 == 0 ? code : code + 1);
    EXPECT_EQ(f32_to_f8e4m3(-high), 0x80 | (code + 1));
  }
  EXPECT_EQ(f32_to_f8e4m3(1e9f), 0x7e);
  EXPECT_EQ(f32_to_f8e4m3(-INFINITY), 0xfe);
  EXPECT_EQ(f32_to_f8e4m3(NAN) & 0x7f, 0x7f);
}

}  // namespace
}  // namespace fathom
