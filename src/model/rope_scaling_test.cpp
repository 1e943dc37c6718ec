#include "model/rope_scaling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "model/published_presets.h"
#include "model/testing.h"

namespace fathom {
namespace {

using testing::expect_near;

std::vector<double> frequencies(const ModelConfig& c) {
  return scaled_rope_frequencies(c.rope_scaling, c.rope_theta, c.rotary_dim());
}

void expect_frequencies(const std::vector<double>& got, const std::map<size_t, double>& expected) {
  for (const auto& [i, value] : expected) expect_near(got[i], value, 1e-6, concat("pair ", i));
}

TEST(RopeScaling, YarnOfTheMlaModelsKeepsTenPairsAndBlendsTwelve) {
  const std::vector<double> got = frequencies(model_preset("v3").config);
  ASSERT_EQ(got.size(), 32u);
  expect_frequencies(got, {{0, 1.0},
                           {1, 0.7498942093},
                           {8, 0.1},
                           {9, 0.07498942093},
                           {10, 0.05623413252},
                           {11, 0.03900692657},
                           {12, 0.02687936011},
                           {13, 0.01837814622},
                           {14, 0.01244795587},
                           {15, 0.008334508951},
                           {16, 0.0055},
                           {17, 0.003561997494},
                           {18, 0.002249365301},
                           {19, 0.001370513636},
                           {20, 0.0007905694151},
                           {21, 0.0004149903985},
                           {22, 0.0001778279410},
                           {23, 3.333803580e-05},
                           {24, 2.5e-05},
                           {31, 3.333803580e-06}});
  EXPECT_EQ(frequencies(model_preset("v2-lite").config), got);
}

TEST(RopeScaling, Llama3CutsByWavelength) {
  expect_frequencies(frequencies(model_preset("r1-distill-llama-8b").config),
                     {{28, 0.003211445995},
                      {29, 0.002166570764},
                      {30, 0.001371893568},
                      {32, 0.000524846161},
                      {34, 0.0001785078128},
                      {35, 9.556212354e-05},
                      {63, 3.068925989e-07}});
}

TEST(RopeScaling, LinearDividesEveryFrequency) {
  const ModelConfig coder = model_preset("coder-6.7b").config;
  ModelConfig plain = coder;
  plain.rope_scaling = {};
  const std::vector<double> got = frequencies(coder), whole = frequencies(plain);
  for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], whole[i] / 4);
  EXPECT_EQ(coder.rope_scaling.cos_sin_factor(), 1);
}

TEST(RopeScaling, DynamicIsPlainWithinTheContext) {
  const RopeScaling dynamic{.kind = RopeKind::kDynamic, .factor = 4};
  EXPECT_EQ(scaled_rope_frequencies(dynamic, 10000, 64), scaled_rope_frequencies({}, 10000, 64));
  EXPECT_EQ(dynamic.cos_sin_factor(), 1);
}

TEST(RopeScaling, TheSoftmaxScaleOfMlaGrowsWithMscaleAllDim) {
  expect_near(model_preset("v2-lite").config.softmax_scale(), 0.1147213868, 1e-9, "0.707");
  expect_near(model_preset("v3").config.softmax_scale(), 0.1352337789, 1e-9, "1.0");
  ModelConfig plain = model_preset("v3").config;
  plain.rope_scaling = {};
  expect_near(plain.softmax_scale(), 0.07216878365, 1e-9, "no scaling");
  ModelConfig unscaled = model_preset("v3").config;
  unscaled.rope_scaling.mscale_all_dim = 0;
  expect_near(unscaled.softmax_scale(), 0.07216878365, 1e-9, "mscale_all_dim 0");
  expect_near(unscaled.rope_scaling.cos_sin_factor(), 1.368887945, 1e-9, "cos and sin instead");
}

TEST(RopeScaling, DenseAttentionHasNoSuchFactor) {
  ModelConfig c = model_preset("llm-7b").config;
  c.rope_scaling = model_preset("v3").config.rope_scaling;
  EXPECT_EQ(c.softmax_scale(), 1 / std::sqrt(128.0));
}

TEST(RopeScaling, PassesTheCollectedCasesOfYarn) {
  const Json::Array checks = testing::shared_checks("numerics/B18.json");
  if (checks.empty()) GTEST_SKIP() << "../shared/cases is absent";
  for (const Json& check : checks) {
    SCOPED_TRACE(check.string_at("name"));
    Json json = testing::small_config("deepseek_v3");
    for (const auto& [key, value] : check.at("input").members()) json[key] = value;
    const ModelConfig c = parse_config(json, "case");
    const Json& expect = check.at("expect");
    expect_near(c.softmax_scale(), expect.double_at("softmax_scale"), 1e-6, "softmax_scale");
    expect_near(c.rope_scaling.cos_sin_factor(), expect.double_at("cos_sin_factor"), 1e-6, "cos");
    const std::vector<double> got = frequencies(c);
    const Json::Array& expected = expect.at("inv_freq").items();
    ASSERT_EQ(got.size(), expected.size());
    for (size_t i = 0; i < got.size(); ++i)
      expect_near(got[i], expected[i].as_double(), 1e-6, concat("pair ", i));
    // Unscaled up to `low`, divided by the factor from `high` on.
    ModelConfig plain = c;
    plain.rope_scaling = {};
    const std::vector<double> whole = frequencies(plain);
    const auto low = static_cast<size_t>(expect.int_at("low"));
    const auto high = static_cast<size_t>(expect.int_at("high"));
    EXPECT_EQ(got[low], whole[low]);
    EXPECT_LT(got[low + 1], whole[low + 1]);
    if (high < got.size())
      expect_near(got[high], whole[high] / c.rope_scaling.factor, 1e-6, "high");
    expect_near(got[high - 1] > whole[high - 1] / c.rope_scaling.factor * 1.01, 1, 0, "below high");
  }
}

}  // namespace
}  // namespace fathom
