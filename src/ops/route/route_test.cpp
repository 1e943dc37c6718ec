#include "ops/route/route.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/route/kernels.h"
#include "ops/simd_testing.h"
#include "runtime/tape.h"

namespace fathom {
namespace {

using testing::difference;
using testing::from_values;
using testing::identical;
using testing::random_slice;
using testing::random_tensor;
using testing::TestPass;
using testing::to_doubles;

KernelTable fast_kernels() {
  KernelTable table = reference_kernels();
  table.topk_route = &cpu::topk_route;
  table.topk_route_backward = &cpu::topk_route_backward;
  table.balance_loss = &cpu::balance_loss;
  return table;
}

RouteShape route_shape(int64_t experts, int64_t k, int64_t n_group = 1, int64_t topk_group = 1) {
  RouteShape shape;
  shape.n_routed_experts = experts;
  shape.num_experts_per_tok = k;
  shape.n_group = n_group;
  shape.topk_group = topk_group;
  return shape;
}

Routed route(Pass& pass, const Tensor& logits, const Tensor& bias, const RouteShape& shape) {
  const std::vector<int32_t> starts = {0, static_cast<int32_t>(logits.rows())};
  return topk_route(pass, logits, bias, shape, starts, std::vector<float>{1.0f});
}

// The V2 line: softmax scores, no bias, weights as they are.
RouteShape softmax_shape(int64_t experts, int64_t k, int64_t n_group = 1, int64_t topk_group = 1) {
  RouteShape shape = route_shape(experts, k, n_group, topk_group);
  shape.scoring_func = ScoringFunc::kSoftmax;
  shape.topk_method = n_group > 1 ? TopkMethod::kGroupLimitedGreedy : TopkMethod::kGreedy;
  shape.norm_topk_prob = false;
  return shape;
}

// A null tensor where the method adds no bias.
Tensor bias_tensor(Pass& pass, const RouteShape& shape, const std::vector<double>& values) {
  if (shape.topk_method != TopkMethod::kNoauxTc) return {};
  return from_values(pass, {shape.n_routed_experts}, DType::kF32, values);
}

Tensor random_bias(Pass& pass, const RouteShape& shape, double scale) {
  if (shape.topk_method != TopkMethod::kNoauxTc) return {};
  return random_tensor(pass, {shape.n_routed_experts}, DType::kF32, 2, scale);
}

// One token through the references in f64, f32 and the fast kernels in f32.
struct OneToken {
  std::vector<double> logits, bias;  // bias empty where the method adds none
  RouteShape shape;
  std::vector<double> expert, weight;
  double tolerance = 1e-6;
};

void expect_choice(const OneToken& c) {
  for (const DType dtype : {DType::kF64, DType::kF32}) {
    for (const KernelTable& table : {reference_kernels(), fast_kernels()}) {
      TestPass pass(table);
      const auto experts = static_cast<int64_t>(c.logits.size());
      const Tensor logits = from_values(pass.plain, {1, experts}, dtype, c.logits);
      const Routed routed =
          route(pass.plain, logits, bias_tensor(pass.plain, c.shape, c.bias), c.shape);
      EXPECT_EQ(to_doubles(routed.expert), c.expert);
      const Tensor want =
          from_values(pass.plain, {1, c.shape.num_experts_per_tok}, dtype, c.weight);
      EXPECT_EQ(difference(routed.weight, want, c.tolerance, 0), "");
    }
  }
}

const std::vector<double> kLogits = {0.2, 1.1, -0.4, 0.9, 1.6, -2.0, 0.3, 0.35};
const std::vector<double> kBias = {0.5, -0.9, 0.1, -0.2, -0.6, 0.3, 0.05, 0};

TEST(Route, LimitsTheChoiceToTheBestGroups) {
  OneToken c{kLogits, kBias, route_shape(8, 3, 4, 2), {6, 7, 3}, {0.7671469, 0.7834062, 0.9494469}};
  c.shape.routed_scaling_factor = 2.5;
  expect_choice(c);
}

TEST(Route, ChoosesAmongAllExpertsWithoutGroups) {
  OneToken c{kLogits, kBias, route_shape(8, 3), {0, 6, 7}, {0.5498340, 0.5744425, 0.5866176}};
  c.shape.norm_topk_prob = false;
  expect_choice(c);
}

// Softmax over all experts of kLogits.
const std::vector<double> kSoftmaxScores = {0.0802879, 0.1974764, 0.0440629, 0.1616800,
                                            0.3255835, 0.0088962, 0.0887319, 0.0932812};

TEST(Route, SoftmaxScoresAreOverAllExperts) {
  OneToken c{kLogits, {}, softmax_shape(8, 8), {4, 1, 3, 7, 6, 0, 2, 5}, {}};
  for (const double expert : c.expert)
    c.weight.push_back(kSoftmaxScores[static_cast<size_t>(expert)]);
  c.tolerance = 1e-5;  // the seventh digit of the smallest
  expect_choice(c);
}

TEST(Route, GreedyTakesTheLargestSoftmaxScores) {
  OneToken c{kLogits, {}, softmax_shape(8, 3), {4, 1, 3}, {0.3255835, 0.1974764, 0.1616800}};
  expect_choice(c);
  c.shape.n_group = 4;  // of no meaning to this method
  c.shape.topk_group = 1;
  expect_choice(c);
  c.shape.routed_scaling_factor = 16;
  c.weight = {5.2093363, 3.1596222, 2.5868800};
  expect_choice(c);
}

// A group's score is its largest: the sum of the two best would keep group 3 instead of 0.
TEST(Route, GroupLimitedGreedyKeepsTheGroupsOfTheLargestScores) {
  OneToken c{kLogits, {}, softmax_shape(8, 3, 4, 2), {4, 1, 0}, {5.2093363, 3.1596222, 1.2846065}};
  c.shape.routed_scaling_factor = 16;
  expect_choice(c);
  OneToken pair{{2, -1, 1.8, 1.7, 0, 0, 0, 0}, {}, softmax_shape(8, 2, 4, 1), {0, 1}, {}};
  pair.weight = {0.3173921, 0.01580202};
  expect_choice(pair);
}

// Both the division and the factor: the later official class.
TEST(Route, NormalisedSoftmaxWeightsAreScaledToo) {
  OneToken c{kLogits, {}, softmax_shape(8, 3), {4, 1, 3}, {1.1887124, 0.7209905, 0.5902971}};
  c.shape.norm_topk_prob = true;
  c.shape.routed_scaling_factor = 2.5;
  expect_choice(c);
}

TEST(Route, SoftmaxHoldsForLogitsFarFromZero) {
  OneToken c{{1000, 999, -1000, 998}, {}, softmax_shape(4, 2), {0, 1}, {0.6652410, 0.2447285}};
  expect_choice(c);
}

// Zero instead of minus infinity outside the kept groups would choose 4, 5 and 6.
TEST(Route, NeverChoosesOutsideTheKeptGroupsWhenAllChoicesAreNegative) {
  OneToken c{{2, 1, -0.5, 0, -3, -2.5, -3.5, -4},
             {-1.2, -0.9, -0.75, -0.6, -0.9, -0.95, -1, -1},
             route_shape(8, 3, 4, 2),
             {3, 1, 0},
             {0.5918965, 0.8654220, 1.0426814}};
  c.shape.routed_scaling_factor = 2.5;
  expect_choice(c);
}

// Weights recovered as (score + bias) − bias would be 0 here.
TEST(Route, TakesWeightsFromScoresWithoutTheBias) {
  OneToken tiny{{-18, -17.5, -18.5, -16},
                {12, 11, 12.5, 10},
                route_shape(4, 2),
                {2, 0},
                {0.94385168, 1.5561483}};
  tiny.shape.routed_scaling_factor = 2.5;
  expect_choice(tiny);
  tiny.shape.routed_scaling_factor = 1;
  tiny.shape.norm_topk_prob = false;
  tiny.weight = {9.2374496e-09, 1.522998e-08};
  expect_choice(tiny);

  OneToken groups{{-17, -18, -16.5, -17.5, -19, -16, -18.5, -17.2},
                  {11, 12, 11.5, 11.2, 12.5, 12.2, 10, 10.5},
                  route_shape(8, 3, 4, 2),
                  {4, 5, 1},
                  {0.10502517, 2.1094868, 0.28548802}};
  groups.shape.routed_scaling_factor = 2.5;
  expect_choice(groups);

  OneToken negative{
      {1, 2, 3, 4}, {-5, -5.1, -6, -7}, route_shape(4, 2), {1, 0}, {1.3661228, 1.1338772}};
  negative.shape.routed_scaling_factor = 2.5;
  // Choices are -4.2689414 and -4.2192029: expert 1 is the better one.
  expect_choice(negative);

  expect_choice({{40, -40, 39, 0}, {0, 0, 0, 0}, route_shape(4, 2), {0, 2}, {0.5, 0.5}});
}

TEST(Route, GivesTiesToTheLowerId) {
  expect_choice({{1, 1, 1, 1, 1},
                 {0, 0, 0, 0, 0},
                 route_shape(5, 3),
                 {0, 1, 2},
                 {1 / 3.0, 1 / 3.0, 1 / 3.0}});
  expect_choice({{0, 2, 0, 2},
                 {0, 0, 0, 0},
                 route_shape(4, 3),
                 {1, 3, 0},
                 {0.3894585, 0.3894585, 0.2210830}});
  // Two equal groups: the lower one is kept.
  expect_choice({{1, 1, 1, 1}, {0, 0, 0, 0}, route_shape(4, 2, 2, 1), {0, 1}, {0.5, 0.5}});
}

TEST(Route, DoesNotNormaliseASingleExpert) {
  OneToken c{{0.2, 1.1}, {0, 0}, route_shape(2, 1), {1}, {0.7502601}};
  expect_choice(c);
}

TEST(Route, KeepsWeightsWhileTheBiasMovesWithoutChangingTheChoice) {
  TestPass pass;
  const Tensor logits = random_tensor(pass.plain, {50, 16}, DType::kF32, 1);
  const Tensor bias = from_values(pass.plain, {16}, DType::kF32, std::vector<double>(16, 0.0));
  std::vector<double> shifted(16, 0.25);  // the same for all: no choice changes
  const Tensor moved = from_values(pass.plain, {16}, DType::kF32, shifted);
  const Routed before = route(pass.plain, logits, bias, route_shape(16, 4));
  const Routed after = route(pass.plain, logits, moved, route_shape(16, 4));
  EXPECT_TRUE(identical(before.expert, after.expert));
  EXPECT_TRUE(identical(before.weight, after.weight));
}

TEST(Route, ANotANumberReachesTheWeightsAndTheIdsStayValid) {
  testing::for_each_simd_target([] {
    for (const KernelTable& table : {reference_kernels(), fast_kernels()}) {
      TestPass pass(table);
      std::vector<double> logits(8, 0.5);
      logits[0] = std::nan("");
      const Tensor x = from_values(pass.plain, {1, 8}, DType::kF32, logits);
      const Tensor bias = from_values(pass.plain, {8}, DType::kF32, std::vector<double>(8, 0.0));
      const Routed routed = route(pass.plain, x, bias, route_shape(8, 3, 2, 1));
      std::vector<double> ids = to_doubles(routed.expert);
      std::sort(ids.begin(), ids.end());
      EXPECT_TRUE(std::adjacent_find(ids.begin(), ids.end()) == ids.end());
      EXPECT_GE(ids.front(), 0);
      EXPECT_LT(ids.back(), 8);
      for (const double w : to_doubles(routed.weight)) EXPECT_TRUE(std::isnan(w));
    }
  });
}

// ---- the balance loss

// Scores that are softmax probabilities sum to 1 already, so the published softmax examples apply.
double loss_of_softmax(const std::vector<std::vector<double>>& sequences, int64_t experts,
                       int64_t k, double alpha, const KernelTable& table) {
  std::vector<double> scores, chosen;
  std::vector<int32_t> starts = {0};
  for (const std::vector<double>& logits : sequences) {
    for (size_t begin = 0; begin < logits.size(); begin += static_cast<size_t>(experts)) {
      std::vector<double> p(logits.begin() + static_cast<std::ptrdiff_t>(begin),
                            logits.begin() + static_cast<std::ptrdiff_t>(begin) + experts);
      std::vector<int> ids(p.size());
      std::iota(ids.begin(), ids.end(), 0);
      std::sort(ids.begin(), ids.end(), [&](int a, int b) {
        return p[static_cast<size_t>(a)] > p[static_cast<size_t>(b)];
      });
      chosen.insert(chosen.end(), ids.begin(), ids.begin() + k);
      double sum = 0;
      for (double& v : p) sum += v = std::exp(v);
      for (const double v : p) scores.push_back(v / sum);
    }
    starts.push_back(static_cast<int32_t>(scores.size()) / static_cast<int32_t>(experts));
  }
  TestPass pass(table);
  const int64_t tokens = starts.back();
  RouteShape shape = route_shape(experts, k);
  shape.balance_alpha = alpha;
  const std::vector<float> share(sequences.size(), 1.0f / static_cast<float>(sequences.size()));
  const auto count = static_cast<int64_t>(starts.size());
  return table.balance_loss(nullptr,
                            from_values(pass.plain, {tokens, experts}, DType::kF32, scores).read(),
                            from_values(pass.plain, {tokens, k}, DType::kI32, chosen).read(),
                            {starts.data(), DType::kI32, Shape{count}, count}, share, shape);
}

TEST(RouteBalance, ValueEqualsTheFormula) {
  const std::vector<double> one = {1, 0.5, -0.5, 0, 2, -1, 0.3, 0.1, 0.2, 0.4, 0.6, 0.8};
  const std::vector<double> other = {-1, 1, 1.5, 0, 0, 0, 3, 1, 0.7, 0.1, -0.2, -0.9};
  for (const KernelTable& table : {reference_kernels(), fast_kernels()}) {
    EXPECT_NEAR(loss_of_softmax({one}, 4, 2, 0.001, table), 0.001080557571, 1e-9);
    EXPECT_NEAR(loss_of_softmax({one, other}, 4, 2, 0.001, table), 0.001110645904, 1e-9);
    EXPECT_NEAR(loss_of_softmax({other}, 4, 1, 1.0, table), 1.595309026, 1e-6);
  }
}

// Padding rows are a sequence of their own without a share in the step.
TEST(RouteBalance, IgnoresSequencesWithoutAShare) {
  const std::vector<double> real = {1, 0.5, -0.5, 0, 2, -1, 0.3, 0.1, 0.2, 0.4, 0.6, 0.8};
  std::vector<double> logits = real;
  for (int i = 0; i < 2; ++i) logits.insert(logits.end(), {9, 0, 0, 0});
  for (const KernelTable& table : {reference_kernels(), fast_kernels()}) {
    TestPass pass(table);
    PassStats stats;
    pass.plain.stats = &stats;
    RouteShape shape = route_shape(4, 2);
    shape.balance_alpha = 0.5;
    const Tensor bias = from_values(pass.plain, {4}, DType::kF32, {0, 0, 0, 0});
    topk_route(pass.plain, from_values(pass.plain, {3, 4}, DType::kF32, real), bias, shape,
               std::vector<int32_t>{0, 3}, std::vector<float>{1});
    const double alone = stats.balance_loss;
    topk_route(pass.plain, from_values(pass.plain, {5, 4}, DType::kF32, logits), bias, shape,
               std::vector<int32_t>{0, 3, 5}, std::vector<float>{1, 0});
    EXPECT_GT(alone, 0.5);
    EXPECT_EQ(stats.balance_loss, 2 * alone);
  }
}

TEST(RouteBalance, IsAlphaAtPerfectBalance) {
  for (const KernelTable& table : {reference_kernels(), fast_kernels()}) {
    TestPass pass(table);
    PassStats stats;
    pass.plain.stats = &stats;
    std::vector<double> logits(36);  // token t prefers experts t and t + 1
    for (size_t t = 0; t < 6; ++t) {
      for (size_t e = 0; e < 6; ++e) logits[6 * t + (t + e) % 6] = 2.0 - static_cast<double>(e);
    }
    RouteShape shape = route_shape(6, 2);
    shape.balance_alpha = 0.003;
    const Tensor bias = from_values(pass.plain, {6}, DType::kF32, std::vector<double>(6, 0.0));
    route(pass.plain, from_values(pass.plain, {6, 6}, DType::kF32, logits), bias, shape);
    EXPECT_NEAR(stats.balance_loss, 0.003, 1e-9);
  }
}

// Differences of sum(weight · seed) + balance loss; the choice stays as it is under so small a
// step.
void expect_gradient(const RouteShape& shape, const std::vector<int32_t>& starts,
                     const std::vector<float>& share) {
  TestPass pass;
  const int64_t tokens = starts.back(), experts = shape.n_routed_experts;
  Tensor logits = random_tensor(pass.plain, {tokens, experts}, DType::kF64, 1);
  const Tensor bias = random_bias(pass.plain, shape, 0.1);
  const Tensor seed =
      random_tensor(pass.plain, {tokens, shape.num_experts_per_tok}, DType::kF64, 3);
  const auto value = [&] {
    PassStats stats;
    Pass p = pass.plain;
    p.stats = &stats;
    const std::vector<double> w =
        to_doubles(topk_route(p, logits, bias, shape, starts, share).weight);
    const std::vector<double> s = to_doubles(seed);
    return std::inner_product(w.begin(), w.end(), s.begin(), stats.balance_loss);
  };
  Tensor taped = logits;
  testing::require_grad(taped);
  const Routed routed = topk_route(pass.taped, taped, bias, shape, starts, share);
  pass.tape.backward(pass.taped, {{routed.weight, seed}});
  const std::vector<double> gradient = to_doubles(testing::grad_of(taped));
  for (int64_t i = 0; i < tokens * experts; ++i) {
    double* x = logits.mutable_data<double>() + i;
    const double middle = *x;
    *x = middle + 1e-6;
    const double above = value();
    *x = middle - 1e-6;
    const double below = value();
    *x = middle;
    EXPECT_NEAR(gradient[static_cast<size_t>(i)], (above - below) / 2e-6, 1e-8) << "logit " << i;
  }
}

TEST(Route, GradientEqualsDifferences) {
  RouteShape shape = route_shape(8, 3, 4, 2);
  shape.routed_scaling_factor = 2.5;
  expect_gradient(shape, {0, 5}, {1});
  shape.norm_topk_prob = false;
  expect_gradient(shape, {0, 5}, {1});
  expect_gradient(route_shape(7, 1), {0, 5}, {1});
}

TEST(Route, GradientThroughASoftmaxEqualsDifferences) {
  RouteShape shape = softmax_shape(8, 3, 4, 2);
  shape.routed_scaling_factor = 16;
  expect_gradient(shape, {0, 5}, {1});
  shape.norm_topk_prob = true;
  expect_gradient(shape, {0, 5}, {1});
  expect_gradient(softmax_shape(7, 1), {0, 5}, {1});
}

TEST(RouteBalance, GradientEqualsDifferences) {
  RouteShape shape = route_shape(6, 2);
  shape.balance_alpha = 0.7;
  expect_gradient(shape, {0, 4, 4, 9}, {0.3f, 0.2f, 0.5f});
  RouteShape softmax = softmax_shape(6, 2);
  softmax.balance_alpha = 0.7;
  expect_gradient(softmax, {0, 4, 4, 9}, {0.3f, 0.2f, 0.5f});
}

TEST(RouteBalance, CountsItsValueOnlyWhereStatisticsAreKept) {
  TestPass pass;
  RouteShape shape = route_shape(4, 2);
  shape.balance_alpha = 1;
  PassStats stats;
  pass.taped.stats = &stats;
  Tensor logits = random_tensor(pass.plain, {3, 4}, DType::kF64, 1);
  testing::require_grad(logits);
  const Tensor bias = from_values(pass.plain, {4}, DType::kF32, {0, 0, 0, 0});
  route(pass.taped, logits, bias, shape);
  const double once = stats.balance_loss;
  EXPECT_GT(once, 0);
  pass.taped.stats = nullptr;
  route(pass.taped, logits, bias, shape);
  EXPECT_EQ(stats.balance_loss, once);
}

// ---- balancing by the bias

std::vector<int64_t> counts_of_batch(TestPass& pass, const Tensor& bias, uint64_t seed) {
  constexpr int64_t kTokens = 1024, kExperts = 8;
  Tensor logits = random_tensor(pass.plain, {kTokens, kExperts}, DType::kF32, seed);
  for (int64_t i = 0; i < kTokens * kExperts; ++i) {
    const double mean = 0.3 + 0.5 * static_cast<double>(i % kExperts) / (kExperts - 1);
    logits.mutable_data<float>()[i] += static_cast<float>(std::log(mean / (1 - mean)));
  }
  return count_experts(route(pass.plain, logits, bias, route_shape(kExperts, 2)).expert, kExperts);
}

double max_violation(const std::vector<int64_t>& counts) {
  const double mean =
      std::accumulate(counts.begin(), counts.end(), 0.0) / static_cast<double>(counts.size());
  return (static_cast<double>(*std::max_element(counts.begin(), counts.end())) - mean) / mean;
}

TEST(RouteBalance, SignUpdatesOfTheBiasEvenTheLoad) {
  TestPass pass(fast_kernels());
  Tensor bias = from_values(pass.plain, {8}, DType::kF32, std::vector<double>(8, 0.0));
  EXPECT_GT(max_violation(counts_of_batch(pass, bias, 1)), 1.0);
  for (uint64_t step = 0; step < 300; ++step) {
    const std::vector<int64_t> counts = counts_of_batch(pass, bias, 100 + step);
    for (size_t e = 0; e < 8; ++e) {
      const int64_t mean = 1024 * 2 / 8;
      const float sign = counts[e] < mean ? 1.0f : counts[e] > mean ? -1.0f : 0.0f;
      bias.mutable_data<float>()[e] += 0.001f * sign;
    }
  }
  double violation = 0;
  for (uint64_t i = 0; i < 10; ++i)
    violation += max_violation(counts_of_batch(pass, bias, 1000 + i)) / 10;
  EXPECT_LT(violation, 0.15);
}

TEST(Route, CountsTokensOfEachExpert) {
  TestPass pass;
  const std::vector<double> picks = {0, 1, 0, 2, 0, 1, 0, 3, 1, 2, 0, 1, 3, 2, 3, 2, 3, 2, 3, 2};
  const Tensor expert = from_values(pass.plain, {10, 2}, DType::kI32, picks);
  EXPECT_EQ(count_experts(expert.rows_at(0, 6), 4), (std::vector<int64_t>{5, 4, 2, 1}));
  EXPECT_EQ(count_experts(expert.rows_at(0, 0), 4), (std::vector<int64_t>{0, 0, 0, 0}));
  EXPECT_THROW(count_experts(expert, 3), Error);
}

// ---- the fast kernels

struct Case {
  int64_t tokens, experts, k, n_group, topk_group;
  bool slice;
  bool normalise;
  bool softmax = false;
};

constexpr Case kCases[] = {
    {0, 8, 2, 1, 1, false, true},          {1, 1, 1, 1, 1, false, true},
    {3, 7, 7, 1, 1, true, true},           {5, 33, 5, 3, 2, true, true},
    {130, 64, 8, 8, 4, true, true},        {17, 256, 8, 8, 4, false, true},
    {700, 64, 6, 1, 1, false, false},      {9, 6, 3, 6, 4, false, true},
    {40, 16, 4, 4, 4, true, false},        {0, 8, 2, 1, 1, false, false, true},
    {5, 33, 5, 3, 2, true, true, true},    {130, 64, 6, 1, 1, true, false, true},
    {40, 160, 6, 8, 3, false, false, true}};

RouteShape shape_of(const Case& c) {
  RouteShape shape = c.softmax ? softmax_shape(c.experts, c.k, c.n_group, c.topk_group)
                               : route_shape(c.experts, c.k, c.n_group, c.topk_group);
  shape.norm_topk_prob = c.normalise;
  shape.routed_scaling_factor = 2.5;
  shape.balance_alpha = 0.1;
  return shape;
}

struct Results {
  Tensor score, expert, weight;
};

Tensor input(Pass& pass, const Case& c, uint64_t seed) {
  return c.slice ? random_slice(pass, c.tokens, c.experts, DType::kF32, seed)
                 : random_tensor(pass, {c.tokens, c.experts}, DType::kF32, seed);
}

Results run(const KernelTable& table, Pass& pass, const Case& c) {
  const Tensor bias = random_bias(pass, shape_of(c), 0.3);
  Results r{input(pass, c, 8), pass.empty({c.tokens, c.k}, DType::kI32),
            pass.empty({c.tokens, c.k}, DType::kF32)};
  table.topk_route(nullptr, input(pass, c, 1).read(), bias ? bias.read() : ConstView{}, shape_of(c),
                   r.score.write(), r.expert.write(), r.weight.write());
  return r;
}

// The rule itself, by sorting: groups first (two best of each, or the best), then the experts of
// the kept groups.
std::vector<double> sorted_choice(const float* score, const Tensor& bias, const Case& c) {
  std::vector<float> choice;
  for (int64_t e = 0; e < c.experts; ++e)
    choice.push_back(bias ? score[e] + bias.data<float>()[e] : score[e]);
  const int64_t size = c.experts / c.n_group;
  std::vector<std::pair<float, int64_t>> groups;
  for (int64_t g = 0; g < c.n_group; ++g) {
    std::vector<float> members(choice.begin() + g * size, choice.begin() + (g + 1) * size);
    std::sort(members.rbegin(), members.rend());
    groups.emplace_back(size > 1 && !c.softmax ? -(members[0] + members[1]) : -members[0], g);
  }
  std::sort(groups.begin(), groups.end());
  std::vector<std::pair<float, int64_t>> experts;
  for (int64_t i = 0; i < (c.n_group > 1 ? c.topk_group : 1); ++i) {
    const int64_t group = groups[static_cast<size_t>(i)].second;
    for (int64_t e = group * size; e < (group + 1) * size; ++e)
      experts.emplace_back(-choice[static_cast<size_t>(e)], e);
  }
  std::sort(experts.begin(), experts.end());
  std::vector<double> ids;
  for (int64_t i = 0; i < c.k; ++i)
    ids.push_back(static_cast<double>(experts[static_cast<size_t>(i)].second));
  return ids;
}

TEST(Route, EveryKernelFollowsItsOwnScores) {
  testing::for_each_simd_target([] {
    for (const KernelTable& table : {reference_kernels(), fast_kernels()}) {
      TestPass pass;
      for (const Case& c : kCases) {
        SCOPED_TRACE(concat(c.tokens, " tokens, ", c.experts, " experts"));
        const Results r = run(table, pass.plain, c);
        const Tensor bias = random_bias(pass.plain, shape_of(c), 0.3);
        for (int64_t t = 0; t < c.tokens; ++t) {
          const float* score = r.score.read().row<float>(t);
          EXPECT_EQ(to_doubles(r.expert.rows_at(t, 1)), sorted_choice(score, bias, c));
        }
      }
    }
  });
}

TEST(Route, FastKernelsEqualTheReference) {
  testing::for_each_simd_target([] {
    TestPass pass;
    for (const Case& c : kCases) {
      SCOPED_TRACE(concat(c.tokens, " tokens, ", c.experts, " experts"));
      const Results want = run(reference_kernels(), pass.plain, c),
                    got = run(fast_kernels(), pass.plain, c);
      // A softmax divides by a sum; a sigmoid is a function of one number.
      const int64_t terms = c.softmax ? c.experts : 1;
      EXPECT_EQ(difference(got.score, want.score, testing::sum_tolerance(terms), 0), "");
      EXPECT_TRUE(
          identical(got.expert, want.expert));  // no two choices of these seeds are that near
      EXPECT_EQ(difference(got.weight, want.weight, testing::sum_tolerance(terms + c.k), 0), "");
    }
  });
}

TEST(Route, FastGradientEqualsTheReference) {
  testing::for_each_simd_target([] {
    TestPass pass;
    for (const Case& c : kCases) {
      SCOPED_TRACE(concat(c.tokens, " tokens, ", c.experts, " experts"));
      const Results r = run(reference_kernels(), pass.plain, c);
      const Tensor dweight = random_tensor(pass.plain, {c.tokens, c.k}, DType::kF32, 4);
      const auto tokens = static_cast<int32_t>(c.tokens);
      const std::vector<int32_t> starts = {0, tokens / 3, tokens / 3, tokens};
      const std::vector<float> share = {0.2f, 0.3f, 0.5f};
      const ConstView view{starts.data(), DType::kI32, Shape{4}, 4};
      Tensor want = input(pass.plain, c, 5), got = input(pass.plain, c, 6);
      const RouteShape shape = shape_of(c);
      reference::topk_route_backward(nullptr, r.score.read(), r.expert.read(), dweight.read(), view,
                                     share, shape, want.write());
      cpu::topk_route_backward(nullptr, r.score.read(), r.expert.read(), dweight.read(), view,
                               share, shape, got.write());
      const double tolerance = testing::sum_tolerance(c.experts);
      EXPECT_EQ(difference(got, want, tolerance, tolerance), "");
      const double loss =
          reference::balance_loss(nullptr, r.score.read(), r.expert.read(), view, share, shape);
      EXPECT_NEAR(cpu::balance_loss(nullptr, r.score.read(), r.expert.read(), view, share, shape),
                  loss, tolerance * loss);
    }
  });
}

TEST(Route, ARowAloneEqualsTheRowInABatch) {
  testing::for_each_simd_target([] {
    TestPass pass(fast_kernels());
    const Tensor x = random_tensor(pass.plain, {700, 64}, DType::kF32, 1);
    const Tensor bias = random_tensor(pass.plain, {64}, DType::kF32, 2, 0.3);
    const Routed all = route(pass.plain, x, bias, route_shape(64, 6, 8, 3));
    for (const int64_t r : {0, 1, 255, 699}) {
      const Routed one = route(pass.plain, x.rows_at(r, 1), bias, route_shape(64, 6, 8, 3));
      EXPECT_TRUE(identical(one.expert, all.expert.rows_at(r, 1)));
      EXPECT_TRUE(identical(one.weight, all.weight.rows_at(r, 1)));
    }
  });
}

TEST(Route, ResultsDependOnNeitherThreadsNorTape) {
  TestPass pass(fast_kernels());
  Tensor x = random_tensor(pass.plain, {700, 64}, DType::kF32, 1);
  testing::require_grad(x);
  const Tensor bias = random_tensor(pass.plain, {64}, DType::kF32, 2, 0.3);
  const Tensor dweight = random_tensor(pass.plain, {700, 6}, DType::kF32, 3);
  RouteShape shape = route_shape(64, 6);
  shape.balance_alpha = 0.1;
  const auto [one, two] = testing::with_one_and_two_threads([&] {
    Tensor taped = x;
    testing::require_grad(taped);
    const Routed routed = route(pass.taped, taped, bias, shape);
    pass.tape.backward(pass.taped, {{routed.weight, dweight}});
    return std::pair(routed, testing::grad_of(taped));
  });
  EXPECT_TRUE(identical(one.first.weight, two.first.weight));
  EXPECT_TRUE(identical(one.second, two.second));
  const Routed plain = route(pass.plain, x, bias, shape);
  EXPECT_TRUE(identical(plain.weight, one.first.weight));
  EXPECT_TRUE(identical(plain.expert, one.first.expert));
  EXPECT_EQ(plain.weight.slot(), nullptr);
}

// ---- refusals

std::string refusal(const std::function<void()>& fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was refused";
}

TEST(Route, RefusesWhatCannotBe) {
  TestPass pass;
  const Tensor x = random_tensor(pass.plain, {2, 8}, DType::kF32, 1);
  const Tensor bias = random_tensor(pass.plain, {8}, DType::kF32, 2);
  const auto with = [&](const RouteShape& shape) {
    return refusal([&] { route(pass.plain, x, bias, shape); });
  };
  EXPECT_NE(with(route_shape(8, 9)).find("num_experts_per_tok is 9"), std::string::npos);
  EXPECT_NE(with(route_shape(8, 2, 3, 1)).find("n_group 3"), std::string::npos);
  EXPECT_NE(with(route_shape(8, 2, 4, 5)).find("topk_group is 5"), std::string::npos);
  EXPECT_NE(with(route_shape(8, 3, 4, 1)).find("raise topk_group"), std::string::npos);
  EXPECT_NE(with(route_shape(16, 2)).find("logits are [2, 8]"), std::string::npos);
  const Tensor short_bias = random_tensor(pass.plain, {7}, DType::kF32, 2);
  EXPECT_NE(refusal([&] {
              route(pass.plain, x, short_bias, route_shape(8, 2));
            }).find("e_score_correction_bias is [7]"),
            std::string::npos);
  EXPECT_NE(refusal([&] {
              route(pass.plain, x, bias, softmax_shape(8, 2));
            }).find("expected none: only topk_method noaux_tc"),
            std::string::npos);
  EXPECT_NE(refusal([&] {
              route(pass.plain, x, Tensor(), route_shape(8, 2));
            }).find("e_score_correction_bias is []"),
            std::string::npos);
  RouteShape balanced = route_shape(8, 2);
  balanced.balance_alpha = 0.1;
  EXPECT_NE(refusal([&] {
              topk_route(pass.plain, x, bias, balanced, std::vector<int32_t>{0, 1},
                         std::vector<float>{1});
            }).find("ending at 1"),
            std::string::npos);
  EXPECT_NE(
      refusal([&] {
        topk_route(pass.plain, x, bias, balanced, std::vector<int32_t>{0, 2}, std::vector<float>{});
      }).find("share for each"),
      std::string::npos);
}

}  // namespace
}  // namespace fathom
