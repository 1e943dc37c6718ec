#include "plan/scaling_laws.h"

#include "model/presets.h"
#include "plan/testing.h"

namespace fathom {
namespace {

using testing::expect_within;
using testing::kClose;
using testing::kRounded;

struct ScaleRow {
  int64_t n_layer, d_model;
  double n1, n2, m, ratio1, ratio2;
};

TEST(ScalingLaws, ScaleVariablesAreThoseOfTheTable) {
  // arXiv:2401.02954, table 3; three digits; two of the ratios, which are cut
  // there, not rounded (6/7 stands as 0.85).
  constexpr ScaleRow kRows[] = {
      {8, 512, 25.2e6, 77.6e6, 352e6, 0.43, 1.32},
      {12, 768, 84.9e6, 164e6, 963e6, 0.53, 1.02},
      {24, 1024, 302e6, 407e6, 3.02e9, 0.60, 0.81},
      {24, 2048, 1.21e9, 1.42e9, 9.66e9, 0.75, 0.88},
      {32, 4096, 6.44e9, 6.86e9, 45.1e9, 0.85, 0.91},
      {40, 5120, 12.6e9, 13.1e9, 85.6e9, 0.88, 0.92},
      {80, 8192, 64.4e9, 65.3e9, 419e9, 0.92, 0.94},
  };
  for (const ScaleRow& row : kRows) {
    SCOPED_TRACE(row.d_model);
    const ScaleVariables got = scale_variables(row.n_layer, row.d_model, 102400, 4096);
    expect_within(got.non_embedding, row.n1, kRounded, "N1");
    expect_within(got.all, row.n2, kRounded, "N2");
    expect_within(got.flops_per_token, row.m, kRounded, "M");
    EXPECT_NEAR(got.ratio_of_non_embedding(), row.ratio1, 0.01);
    EXPECT_NEAR(got.ratio_of_all(), row.ratio2, 0.01);
  }
}

struct LawRow {
  double compute, learning_rate, batch, model, data;
};

TEST(ScalingLaws, OptimaFollowThePublishedFit) {
  constexpr LawRow kRows[] = {
      {1e17, 2.338e-3, 106190, 1.404e8, 7.123e8},   {1e18, 1.753e-3, 225519, 4.695e8, 2.130e9},
      {1e19, 1.315e-3, 478942, 1.570e9, 6.369e9},   {1e20, 9.860e-4, 1017145, 5.251e9, 1.905e10},
      {3e20, 8.595e-4, 1456965, 9.342e9, 3.212e10}, {1e21, 7.394e-4, 2160145, 1.756e10, 5.695e10},
  };
  for (const LawRow& row : kRows) {
    SCOPED_TRACE(row.compute);
    const LawOptima got = law_optima(row.compute);
    expect_within(got.learning_rate, row.learning_rate, kClose, "learning rate");
    expect_within(got.batch_tokens, row.batch, kClose, "batch");
    expect_within(got.model_flops_per_token, row.model, kClose, "model");
    expect_within(got.data_tokens, row.data, kClose, "data");
    // The two shares of a budget are the budget: 0.1715 x 5.8316 = 1.00012.
    expect_within(got.model_flops_per_token * got.data_tokens, 1.00012 * row.compute, 1e-5, "C");
  }
}

struct RealRun {
  const char* preset;
  double m, compute, learning_rate, batch;
};

TEST(ScalingLaws, RealModelsCountTheirOwnWeights) {
  constexpr RealRun kRuns[] = {{"llm-7b", 42.47e9, 8.494e22, 4.244e-4, 9.24e6},
                               {"llm-67b", 432.7e9, 8.655e23, 3.175e-4, 19.74e6}};
  for (const RealRun& run : kRuns) {
    SCOPED_TRACE(run.preset);
    const double m = model_scale(model_preset(run.preset).config, 4096);
    expect_within(m, run.m, kClose, "M");
    const LawOptima got = law_optima(m * 2e12);
    expect_within(got.compute, run.compute, kClose, "C");
    expect_within(got.learning_rate, run.learning_rate, kClose, "learning rate");
    expect_within(got.batch_tokens, run.batch, kClose, "batch");
  }
  // 300.6 thousand hours a trillion tokens are 400 TFLOP/s where operations are counted so.
  expect_within(model_scale(model_preset("llm-67b").config, 4096) * 1e12 / (300.6e3 * 3600), 400e12,
                kClose, "67B's rate");
}

}  // namespace
}  // namespace fathom
