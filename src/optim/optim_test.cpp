#include <gtest/gtest.h>

#include <cmath>

#include "ops/testing.h"
#include "optim/adamw.h"
#include "optim/schedule.h"

namespace fathom {
namespace {

using testing::TestPass;

TEST(Schedule,
     MultiStepGivesThePublishedRates) {  // DeepSeek LLM 7B: peak 4.2e-4, 2000 warm-up steps
  const ScheduleConfig config{ScheduleKind::kMultiStep, 4.2e-4, 2000, 0.1};
  const int64_t total = 100000;
  EXPECT_NEAR(learning_rate(config, 999, total), 2.1e-4, 1e-12);  // the 1000th step
  EXPECT_NEAR(learning_rate(config, 50000, total), 4.2e-4, 1e-12);
  EXPECT_NEAR(learning_rate(config, 85000, total), 1.32816e-4, 1e-9);
  EXPECT_NEAR(learning_rate(config, 95000, total), 4.2e-5, 1e-12);
}

TEST(Schedule, CosineEndsAtItsFinalRatio) {
  const ScheduleConfig config{ScheduleKind::kCosine, 1e-3, 10, 0.1};
  EXPECT_NEAR(learning_rate(config, 10, 110), 1e-3, 1e-12);
  EXPECT_NEAR(learning_rate(config, 60, 110), 5.5e-4, 1e-12);
  EXPECT_NEAR(learning_rate(config, 110, 110), 1e-4, 1e-12);
}

TEST(Schedule, UnknownNameOffersTheNearest) {
  try {
    parse_schedule("cosin");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_NE(std::string(error.what()).find("cosine"), std::string::npos);
  }
}

// AdamW of one parameter in plain doubles.
struct PlainAdamW {
  std::vector<double> p, m, v;
  int64_t t = 0;
  void step(const std::vector<double>& g, double lr, double decay, double scale) {
    ++t;
    m.resize(p.size());
    v.resize(p.size());
    for (size_t i = 0; i < p.size(); ++i) {
      const double grad = g[i] * scale;
      p[i] -= lr * decay * p[i];
      m[i] = 0.9 * m[i] + 0.1 * grad;
      v[i] = 0.95 * v[i] + 0.05 * grad * grad;
      const double mhat = m[i] / (1 - std::pow(0.9, t)), vhat = v[i] / (1 - std::pow(0.95, t));
      p[i] -= lr * mhat / (std::sqrt(vhat) + 1e-8);
    }
  }
};

void set_gradient(Pass& pass, Parameter& p, uint64_t seed) {
  bool accumulate = false;
  Tensor grad = p.grad_target(pass, accumulate);
  const Tensor values = testing::random_tensor(pass, p.value.shape(), p.value.dtype(), seed);
  std::copy_n(values.data<double>(), values.shape().elements(), grad.mutable_data<double>());
}

TEST(AdamW, FollowsTheEquationsWithClippingAndDecayOnMatricesOnly) {
  TestPass test;
  Parameter matrix = testing::random_parameter(test.plain, "w", {3, 5}, DType::kF64, 1);
  Parameter norm = testing::random_parameter(test.plain, "n", {5}, DType::kF64, 2);
  norm.decay = false;
  PlainAdamW plain_matrix{testing::to_doubles(matrix.value), {}, {}},
      plain_norm{testing::to_doubles(norm.value), {}, {}};
  AdamW optimizer({0.9, 0.95, 1e-8, 0.1, 1.0}, {&matrix, &norm});
  for (uint64_t step = 0; step < 5; ++step) {
    set_gradient(test.plain, matrix, 10 + step);
    set_gradient(test.plain, norm, 20 + step);
    const std::vector<double> g = testing::to_doubles(matrix.grad->value),
                              h = testing::to_doubles(norm.grad->value);
    double squares = 0;
    for (double x : g) squares += x * x;
    for (double x : h) squares += x * x;
    const double expected_norm = std::sqrt(squares);
    const double scale = std::min(1.0, 1.0 / (expected_norm + 1e-6));
    const StepResult result = optimizer.step(test.plain, 1e-2);
    EXPECT_TRUE(result.applied);
    EXPECT_NEAR(result.grad_norm, expected_norm, 1e-9);
    plain_matrix.step(g, 1e-2, 0.1, scale);
    plain_norm.step(h, 1e-2, 0, scale);
  }
  for (size_t i = 0; i < plain_matrix.p.size(); ++i)
    EXPECT_NEAR(testing::to_doubles(matrix.value)[i], plain_matrix.p[i], 1e-9);
  for (size_t i = 0; i < plain_norm.p.size(); ++i)
    EXPECT_NEAR(testing::to_doubles(norm.value)[i], plain_norm.p[i], 1e-9);
}

TEST(AdamW, LeavesAloneWhatHasNoGradient) {
  TestPass test;
  Parameter used = testing::random_parameter(test.plain, "a", {2, 2}, DType::kF64, 1);
  Parameter idle = testing::random_parameter(test.plain, "b", {2, 2}, DType::kF64, 2);
  const std::vector<double> before = testing::to_doubles(idle.value);
  AdamW optimizer({}, {&used, &idle});
  set_gradient(test.plain, used, 3);
  optimizer.step(test.plain, 1e-2);
  EXPECT_EQ(testing::to_doubles(idle.value), before);
}

TEST(AdamW, ExpertsWithoutTokensHaveAZeroGradient) {
  TestPass test;
  Parameter experts = testing::random_parameter(test.plain, "e", {2, 1, 2}, DType::kF64, 1);
  AdamW optimizer({0.9, 0.95, 1e-8, 0.0, 0.0}, {&experts});
  const std::vector<double> before = testing::to_doubles(experts.value);
  Tensor grad = experts.expert_grad_target(test.plain);
  double* g = grad.mutable_data<double>();
  g[0] = g[1] = 1;
  g[2] = g[3] = std::nan("");  // never written by a kernel: must not be read
  experts.grad->live = {1, 0};
  const StepResult result = optimizer.step(test.plain, 1e-2);
  EXPECT_TRUE(result.applied);
  EXPECT_NEAR(result.grad_norm, std::sqrt(2.0), 1e-12);
  const std::vector<double> after = testing::to_doubles(experts.value);
  EXPECT_NE(after[0], before[0]);
  EXPECT_EQ(after[2], before[2]);
}

TEST(AdamW, SkipsAStepWhoseGradientIsNotFinite) {
  TestPass test;
  Parameter p = testing::random_parameter(test.plain, "w", {2, 2}, DType::kF64, 1);
  const std::vector<double> before = testing::to_doubles(p.value);
  AdamW optimizer({}, {&p});
  set_gradient(test.plain, p, 3);
  p.grad->value.mutable_data<double>()[1] = std::nan("");
  EXPECT_FALSE(optimizer.step(test.plain, 1e-2).applied);
  EXPECT_EQ(testing::to_doubles(p.value), before);
  EXPECT_EQ(optimizer.steps(), 0);
}

}  // namespace
}  // namespace fathom
