#include "plan/inference.h"

#include "base/error.h"
#include "model/presets.h"
#include "plan/model_cost.h"
#include "plan/testing.h"

namespace fathom {
namespace {

using testing::expect_within;
using testing::kClose;
using testing::kRounded;

TEST(Inference, ABatchReachesTheExpectedExperts) {
  constexpr double kLite[] = {6, 11.4, 20.8, 34.9, 50.8, 61.3, 63.9};
  constexpr double kV3[] = {8, 15.8, 30.5, 57.4, 102, 163, 222};
  for (int i = 0; i < 7; ++i) {
    expect_within(distinct_experts(64, 6, 1 << i), kLite[i], kRounded, "64 experts");
    expect_within(distinct_experts(256, 8, 1 << i), kV3[i], kRounded, "256 experts");
  }
  EXPECT_EQ(distinct_experts(0, 0, 8), 0);
}

struct Row {
  int64_t batch;
  double weights, cache, milliseconds, rate;
};

TEST(Inference, V2LiteOnOneH200IsBoundAsTabulated) {
  constexpr Row kRows[] = {
      {1, 4.90e9, 0.13e9, 1.05, 954},     {8, 17.9e9, 1.02e9, 3.94, 2030},
      {32, 29.8e9, 4.08e9, 7.05, 4539},   {128, 31.0e9, 16.3e9, 9.85, 12989},
      {256, 31.0e9, 32.6e9, 13.3, 19318}, {512, 31.0e9, 65.2e9, 20.0, 25541},
  };
  const ModelConfig& lite = model_preset("v2-lite").config;
  InferenceInputs inputs;
  inputs.accelerator = find_accelerator("h200");
  inputs.cache_bytes_per_token = static_cast<double>(lite.cache_bytes_per_token(2));
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.batch);
    const DecodeBound got = decode_bound(lite, inputs, row.batch);
    expect_within(got.weight_bytes, row.weights, kRounded, "weights");
    EXPECT_NEAR(got.cache_bytes, row.cache, row.batch == 1 ? 0.005e9 : 0.005 * row.cache);
    expect_within(got.memory_seconds * 1e3, row.milliseconds, kRounded, "time");
    expect_within(got.tokens_per_second, row.rate, kClose, "rate");
    EXPECT_LT(got.compute_seconds, got.memory_seconds);
    EXPECT_TRUE(got.fits);
  }
}

TEST(Inference, ArithmeticBindsWhereCachesAreShort) {
  const ModelConfig& lite = model_preset("v2-lite").config;
  InferenceInputs inputs;
  inputs.accelerator = find_accelerator("h200");
  inputs.context_tokens = 1;
  inputs.cache_bytes_per_token = static_cast<double>(lite.cache_bytes_per_token(2));
  const DecodeBound got = decode_bound(lite, inputs, 65536);
  EXPECT_GT(got.compute_seconds, got.memory_seconds);
  expect_within(got.tokens_per_second, 989e12 / decode_flops_at(lite, 1), 1e-9, "rate");
}

TEST(Inference, V3FitsEightH200WithRoomForCaches) {
  const ModelConfig& v3 = model_preset("v3").config;
  InferenceInputs inputs;
  inputs.accelerator = find_accelerator("h200");
  inputs.accelerators = 8;
  inputs.weight_bytes = 1;
  inputs.cache_bytes_per_token = static_cast<double>(v3.cache_bytes_per_token(2));
  const InferenceFit fit = inference_fit(v3, inputs);
  expect_within(fit.weight_bytes, 671.0e9, kClose, "weights");
  expect_within(fit.cache_bytes, 344e9, kClose, "room");
  expect_within(fit.cached_tokens, 4.9e6, kRounded, "tokens");
  inputs.cache_bytes_per_token = static_cast<double>(fp8_cache_bytes_per_token(v3));
  expect_within(inference_fit(v3, inputs).cached_tokens, 8.6e6, kRounded, "tokens in fp8");
  inputs.accelerators = 1;
  EXPECT_EQ(inference_fit(v3, inputs).cached_tokens, 0);
  EXPECT_FALSE(decode_bound(v3, inputs, 1).fits);
}

TEST(Inference, TheProductionDayAgreesWithTheForms) {
  const ProductionRates rates = production_rates(model_preset("v3").config);
  expect_within(rates.decode_flops_per_gpu, 292e12, kRounded, "decode");
  expect_within(rates.cache_bytes_per_second_per_gpu, 649e9, kClose, "cache");
  expect_within(rates.computed_input_per_second_per_node, 32.2e3, kRounded, "input");
  expect_within(rates.prefill_flops_per_gpu, 345e12, kRounded, "prefill");
  expect_within(rates.dollars_per_day, 87072, 1e-9, "dollars");
}

TEST(Inference, AnUnknownAcceleratorIsAnsweredWithAllNames) {
  try {
    find_accelerator("tpu");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("h200, h800"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace fathom
