#include "ops/linear_objective/linear_objective.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/linear_objective/kernels.h"
#include "ops/simd_testing.h"
#include "runtime/batch.h"
#include "runtime/tape.h"

namespace fathom {
namespace {

using testing::difference;
using testing::from_values;
using testing::identical;
using testing::random_parameter;
using testing::random_slice;
using testing::random_tensor;
using testing::TestPass;
using testing::to_doubles;

KernelTable fast_kernels() {
  KernelTable table = reference_kernels();
  table.target_logprob = &cpu::target_logprob;
  table.target_logprob_backward = &cpu::target_logprob_backward;
  return table;
}

std::vector<int32_t> random_targets(int64_t rows, int64_t vocab_size) {
  std::vector<int32_t> target;
  const RandomKey key{11};
  for (int64_t r = 0; r < rows; ++r) {
    target.push_back(static_cast<int32_t>(
        key.below(static_cast<uint64_t>(r), static_cast<uint64_t>(vocab_size))));
  }
  return target;
}

// log softmax(h_r · headᵀ)[target_r] by the textbook.
std::vector<double> naive_logprobs(const Tensor& h, const Tensor& head,
                                   const std::vector<int32_t>& target) {
  const std::vector<double> x = to_doubles(h), w = to_doubles(head);
  const auto hidden = static_cast<size_t>(h.cols()), vocab = static_cast<size_t>(head.dim(0));
  std::vector<double> logprob;
  for (size_t r = 0; r < target.size(); ++r) {
    if (target[r] == kNoTarget) {
      logprob.push_back(0);
      continue;
    }
    double sum = 0, hit = 0;
    for (size_t v = 0; v < vocab; ++v) {
      double logit = 0;
      for (size_t c = 0; c < hidden; ++c) logit += x[r * hidden + c] * w[v * hidden + c];
      sum += std::exp(logit);
      if (static_cast<int32_t>(v) == target[r]) hit = logit;
    }
    logprob.push_back(hit - std::log(sum));
  }
  return logprob;
}

struct Setting {
  Tensor h;
  Parameter head;
  std::vector<int32_t> target;
};

Setting setting(Pass& pass, int64_t rows, int64_t vocab_size, int64_t hidden,
                DType dtype = DType::kF64) {
  return {random_tensor(pass, {rows, hidden}, dtype, 1),
          random_parameter(pass, "lm_head.weight", {vocab_size, hidden}, dtype, 2, 0.7),
          random_targets(rows, vocab_size)};
}

struct Gradients {
  ObjectiveResult result;
  Tensor dh, dhead;
};

Gradients gradients(TestPass& pass, const Setting& s, const TokenObjective& objective) {
  Tensor h = s.h;
  testing::require_grad(h);
  s.head.grad->clear();
  ObjectiveResult result = linear_objective(pass.taped, h, s.head, s.target, objective);
  pass.tape.backward(pass.taped, {{result.loss, Tensor()}});
  Tensor dhead = pass.plain.empty(s.head.value.shape(), s.head.value.dtype());
  if (s.head.grad->filled) copy_into(pass.plain, s.head.grad->value, dhead);
  return {result, testing::grad_of(h), dhead};
}

// Differences of the loss by every element of h and of the head.
void expect_gradients(TestPass& pass, Setting& s, const TokenObjective& objective) {
  const Gradients got = gradients(pass, s, objective);
  const auto check = [&](const char* what, Tensor& variable, const Tensor& gradient) {
    const std::vector<double> analytic = to_doubles(gradient);
    for (int64_t i = 0; i < variable.shape().elements(); ++i) {
      double* x = variable.mutable_data<double>() + i;
      const double middle = *x;
      *x = middle + 1e-5;
      const double above =
          linear_objective(pass.plain, s.h, s.head, s.target, objective).loss_value;
      *x = middle - 1e-5;
      const double below =
          linear_objective(pass.plain, s.h, s.head, s.target, objective).loss_value;
      *x = middle;
      EXPECT_NEAR(analytic[static_cast<size_t>(i)], (above - below) / 2e-5, 1e-8)
          << what << " " << i;
    }
  };
  check("h", s.h, got.dh);
  check("head", s.head.value, got.dhead);
}

TEST(LinearObjective, EqualsLogSoftmax) {
  TestPass pass;
  for (const int64_t rows : {1, 7, 600}) {  // 600: two chunks
    Setting s = setting(pass.plain, rows, 11, 5);
    const std::vector<float> weights(static_cast<size_t>(rows), 0.5f);
    const ObjectiveResult r =
        linear_objective(pass.plain, s.h, s.head, s.target, cross_entropy(weights, 4));
    const std::vector<double> want = naive_logprobs(s.h, s.head.value, s.target);
    double loss = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      EXPECT_NEAR(r.logprob[i], want[i], 1e-12);
      loss -= 0.5 * want[i] / 4;
    }
    EXPECT_NEAR(r.loss_value, loss, 1e-11);
    EXPECT_EQ(to_doubles(r.loss)[0], r.loss_value);
    EXPECT_EQ(target_logprobs(pass.plain, s.h, s.head, s.target), r.logprob);
  }
}

TEST(LinearObjective, GradientEqualsDifferences) {
  TestPass pass;
  Setting s = setting(pass.plain, 5, 6, 3);
  s.target[2] = kNoTarget;
  expect_gradients(pass, s, cross_entropy(std::vector<float>{1, 0.5f, 0, 2, 0.25f}, 3));
}

// The clipped objective of PPO on ratios to old log-probabilities.
TEST(LinearObjective, TakesPolicyObjectives) {
  TestPass pass;
  Setting s = setting(pass.plain, 6, 5, 3);
  const std::vector<double> old = {-1.2, -2.4, -0.6, -1.9, -3.0, -1.5},
                            advantage = {1, -1, 0.5, -2, 1, 3};
  const TokenObjective clipped = [&](std::span<const int32_t> rows, std::span<const double> logprob,
                                     std::span<double> dlogprob) {
    double loss = 0;
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto r = static_cast<size_t>(rows[i]);
      const double ratio = std::exp(logprob[i] - old[r]);
      const double free = ratio * advantage[r],
                   bounded = std::clamp(ratio, 0.8, 1.2) * advantage[r];
      loss -= std::min(free, bounded);
      dlogprob[i] = free <= bounded ? -free : 0;
    }
    return loss;
  };
  expect_gradients(pass, s, clipped);
}

TEST(LinearObjective, SkipsRowsWithoutTargetToTheBit) {
  for (const KernelTable& table : {reference_kernels(), fast_kernels()}) {
    TestPass pass(table);
    const Setting all = setting(pass.plain, 9, 13, 4, DType::kF32);
    Setting some = all, few = all;
    const std::vector<int32_t> kept = {1, 2, 5, 8};
    few.h = pass.plain.empty({4, 4}, DType::kF32);
    few.target.clear();
    some.target.assign(9, kNoTarget);
    for (size_t i = 0; i < kept.size(); ++i) {
      const auto row = static_cast<size_t>(kept[i]);
      std::copy_n(all.h.data<float>() + 4 * kept[i], 4, few.h.mutable_data<float>() + 4 * i);
      few.target.push_back(all.target[row]);
      some.target[row] = all.target[row];
    }
    const std::vector<float> ones(9, 1.0f);
    const Gradients want = gradients(pass, few, cross_entropy(ones, 3));
    const Gradients got = gradients(pass, some, cross_entropy(ones, 3));
    EXPECT_EQ(got.result.loss_value, want.result.loss_value);
    EXPECT_TRUE(identical(got.dhead, want.dhead));
    for (int64_t r = 0, next = 0; r < 9; ++r) {
      const bool skipped = some.target[static_cast<size_t>(r)] == kNoTarget;
      if (skipped) {
        EXPECT_EQ(got.result.logprob[static_cast<size_t>(r)], 0);
        EXPECT_EQ(to_doubles(got.dh.rows_at(r, 1)), std::vector<double>(4, 0.0));
      } else {
        EXPECT_TRUE(identical(got.dh.rows_at(r, 1), want.dh.rows_at(next, 1)));
        EXPECT_EQ(got.result.logprob[static_cast<size_t>(r)],
                  want.result.logprob[static_cast<size_t>(next)]);
        ++next;
      }
    }
  }
}

TEST(LinearObjective, WithoutAnyTargetTheLossIsZeroAndSoIsItsGradient) {
  TestPass pass;
  Setting s = setting(pass.plain, 3, 5, 2);
  s.target.assign(3, kNoTarget);
  const Gradients got = gradients(pass, s, cross_entropy(std::vector<float>(3, 1.0f), 1));
  EXPECT_EQ(got.result.loss_value, 0);
  EXPECT_EQ(to_doubles(got.dh), std::vector<double>(6, 0.0));
  EXPECT_FALSE(s.head.grad->filled);

  const Setting none = setting(pass.plain, 0, 5, 2);
  EXPECT_EQ(linear_objective(pass.plain, none.h, none.head, {}, cross_entropy({}, 1)).loss_value,
            0);
}

// 8192 f32 logits: chunks of 128 rows. Row 127 ends one and row 128 begins the next.
TEST(LinearObjective, ChunkBoundariesDoNotChangeARow) {
  TestPass pass(fast_kernels());
  const Setting s = setting(pass.plain, 260, 8192, 3, DType::kF32);
  const std::vector<float> weights(260, 1.0f);
  const Gradients all = gradients(pass, s, cross_entropy(weights, 1));
  for (const int64_t r : {0, 127, 128, 259}) {
    Setting one = s;
    one.h = s.h.rows_at(r, 1);
    one.target = {s.target[static_cast<size_t>(r)]};
    const Gradients alone = gradients(pass, one, cross_entropy(weights, 1));
    EXPECT_EQ(alone.result.logprob[0], all.result.logprob[static_cast<size_t>(r)]);
    EXPECT_TRUE(identical(alone.dh, all.dh.rows_at(r, 1)));
  }
}

TEST(LinearObjective, AddsToTheGradientOfAHeadThatIsUsedTwice) {
  TestPass pass;
  const Setting s = setting(pass.plain, 4, 5, 3);
  const TokenObjective objective = cross_entropy(std::vector<float>(4, 1.0f), 1);
  const std::vector<double> once = to_doubles(gradients(pass, s, objective).dhead);
  s.head.grad->clear();
  for (int i = 0; i < 2; ++i) linear_objective(pass.taped, s.h, s.head, s.target, objective);
  const std::vector<double> twice = to_doubles(s.head.grad->value);
  for (size_t i = 0; i < once.size(); ++i) EXPECT_NEAR(twice[i], 2 * once[i], 1e-14);
}

TEST(LinearObjective, LeavesAFrozenHeadAlone) {
  TestPass pass;
  Setting s = setting(pass.plain, 4, 5, 3);
  const TokenObjective objective = cross_entropy(std::vector<float>(4, 1.0f), 1);
  const Tensor want = gradients(pass, s, objective).dh;
  s.head.grad = nullptr;
  Tensor h = s.h;
  testing::require_grad(h);
  const ObjectiveResult r = linear_objective(pass.taped, h, s.head, s.target, objective);
  pass.tape.backward(pass.taped, {{r.loss, Tensor()}});
  EXPECT_TRUE(identical(testing::grad_of(h), want));
}

TEST(LinearObjective, GivesTheSameBitsWithAndWithoutTape) {
  TestPass pass(fast_kernels());
  const Setting s = setting(pass.plain, 40, 50, 8, DType::kF32);
  const TokenObjective objective = cross_entropy(std::vector<float>(40, 1.0f), 7);
  const ObjectiveResult plain = linear_objective(pass.plain, s.h, s.head, s.target, objective);
  const Gradients taped = gradients(pass, s, objective);
  EXPECT_EQ(plain.logprob, taped.result.logprob);
  EXPECT_EQ(plain.loss_value, taped.result.loss_value);
  EXPECT_EQ(plain.loss.slot(), nullptr);
}

TEST(LinearObjective, ANotANumberGivesALossThatIsNone) {
  testing::for_each_simd_target([] {
    for (const KernelTable& table : {reference_kernels(), fast_kernels()}) {
      for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
        TestPass pass(table);
        Setting s = setting(pass.plain, 3, 40, 1, DType::kF32);
        s.head.value.mutable_data<float>()[37] = bad;
        const Gradients got = gradients(pass, s, cross_entropy(std::vector<float>(3, 1.0f), 1));
        EXPECT_TRUE(std::isnan(got.result.loss_value));
        for (const double d : to_doubles(got.dh)) EXPECT_FALSE(std::isfinite(d));
      }
    }
  });
}

// ---- the fast kernels

struct Case {
  int64_t rows, vocab_size;
  bool slice;
  double scale;
};

constexpr Case kCases[] = {{0, 8, false, 1},     {1, 1, false, 1},     {3, 5, true, 1},
                           {5, 100, true, 30},   {33, 1000, false, 3}, {2, 8192, true, 1},
                           {4, 12345, false, 5}, {130, 300, false, 80}};

struct Results {
  Tensor logprob, lse, dlogits;
};

Results run(const KernelTable& table, Pass& pass, const Case& c) {
  Tensor logits = random_tensor(pass, {c.rows, c.vocab_size + 5}, DType::kF32, 1, c.scale);
  if (c.slice) logits = logits.columns(3, c.vocab_size);
  if (!c.slice) logits = random_tensor(pass, {c.rows, c.vocab_size}, DType::kF32, 1, c.scale);
  const std::vector<int32_t> ids = random_targets(c.rows, c.vocab_size);
  const ConstView target{ids.data(), DType::kI32, Shape{c.rows}, c.rows};
  const Tensor coefficient = random_tensor(pass, {c.rows}, DType::kF64, 3);
  Results r{pass.empty({c.rows}, DType::kF64), pass.empty({c.rows}, DType::kF64), logits};
  table.target_logprob(nullptr, logits.read(), target, r.logprob.write(), r.lse.write());
  table.target_logprob_backward(nullptr, r.dlogits.read(), target, r.lse.read(), coefficient.read(),
                                r.dlogits.write());
  return r;
}

TEST(LinearObjective, FastKernelsEqualTheReference) {
  testing::for_each_simd_target([] {
    TestPass pass;
    for (const Case& c : kCases) {
      SCOPED_TRACE(concat(c.rows, "x", c.vocab_size));
      const Results want = run(reference_kernels(), pass.plain, c),
                    got = run(fast_kernels(), pass.plain, c);
      // Each exp has the rounding of its argument, which is as large as the logits.
      const double rounding = testing::sum_tolerance(c.vocab_size) + 8 * c.scale * 0x1p-24;
      EXPECT_EQ(difference(got.logprob, want.logprob, 0, rounding), "");
      EXPECT_EQ(difference(got.lse, want.lse, 0, rounding), "");
      EXPECT_EQ(difference(got.dlogits, want.dlogits, 4 * rounding, 4 * rounding), "");
    }
  });
}

TEST(LinearObjective, FastKernelsTakeLogitsOfMinusInfinity) {
  testing::for_each_simd_target([] {
    TestPass pass;
    const double none = -std::numeric_limits<double>::infinity();
    Tensor logits = from_values(pass.plain, {1, 4}, DType::kF32, {1, none, 1, none});
    const std::vector<int32_t> ids = {2};
    const ConstView target{ids.data(), DType::kI32, Shape{1}, 1};
    Tensor logprob = pass.plain.empty({1}, DType::kF64), lse = pass.plain.empty({1}, DType::kF64);
    cpu::target_logprob(nullptr, logits.read(), target, logprob.write(), lse.write());
    EXPECT_NEAR(to_doubles(logprob)[0], -std::log(2.0), 1e-7);
    const Tensor one = from_values(pass.plain, {1}, DType::kF64, {1});
    cpu::target_logprob_backward(nullptr, logits.read(), target, lse.read(), one.read(),
                                 logits.write());
    const Tensor want = from_values(pass.plain, {1, 4}, DType::kF32, {-0.5, 0, 0.5, 0});
    EXPECT_EQ(difference(logits, want, 0, 1e-6), "");
  });
}

// 1 − p is 4e-11 here, which f32 arithmetic would call 0.
TEST(LinearObjective, FastGradientOfASureTargetIsNotLost) {
  TestPass pass;
  Tensor logits = from_values(pass.plain, {1, 2}, DType::kF32, {24, 0});
  const std::vector<int32_t> ids = {0};
  const ConstView target{ids.data(), DType::kI32, Shape{1}, 1};
  const double sum = std::log1p(std::exp(-24.0));
  const Tensor lse = from_values(pass.plain, {1}, DType::kF64, {24 + sum}),
               one = from_values(pass.plain, {1}, DType::kF64, {1});
  cpu::target_logprob_backward(nullptr, logits.read(), target, lse.read(), one.read(),
                               logits.write());
  EXPECT_NEAR(to_doubles(logits)[0], std::exp(-24.0), 1e-4 * std::exp(-24.0));
}

TEST(LinearObjective, ResultsDoNotDependOnThreads) {
  TestPass pass(fast_kernels());
  const Setting s = setting(pass.plain, 70, 3000, 6, DType::kF32);
  const auto [one, two] = testing::with_one_and_two_threads(
      [&] { return gradients(pass, s, cross_entropy(std::vector<float>(70, 1.0f), 1)); });
  EXPECT_EQ(one.result.logprob, two.result.logprob);
  EXPECT_TRUE(identical(one.dh, two.dh));
  EXPECT_TRUE(identical(one.dhead, two.dhead));
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

TEST(LinearObjective, RefusesToBeScaledInBackward) {
  TestPass pass;
  const Setting s = setting(pass.plain, 2, 5, 3);
  const ObjectiveResult r = linear_objective(pass.taped, s.h, s.head, s.target,
                                             cross_entropy(std::vector<float>(2, 1.0f), 1));
  const Tensor half = from_values(pass.plain, {1}, DType::kF64, {0.5});
  EXPECT_NE(refusal([&] {
              pass.tape.backward(pass.taped, {{r.loss, half}});
            }).find("takes the gradient 1, got 0.5"),
            std::string::npos);
}

TEST(LinearObjective, RefusesTargetsOutsideTheVocabulary) {
  TestPass pass;
  Setting s = setting(pass.plain, 2, 5, 3);
  for (const int32_t bad : {5, -2}) {
    s.target[1] = bad;
    EXPECT_NE(refusal([&] {
                target_logprobs(pass.plain, s.h, s.head, s.target);
              }).find("of row 1 is not in the vocabulary of 5"),
              std::string::npos);
  }
  s.target.pop_back();
  EXPECT_NE(refusal([&] {
              target_logprobs(pass.plain, s.h, s.head, s.target);
            }).find("1 targets for 2 rows"),
            std::string::npos);
  const Tensor single = random_tensor(pass.plain, {1, 3}, DType::kF32, 1);
  EXPECT_NE(refusal([&] {
              target_logprobs(pass.plain, single, s.head, s.target);
            }).find("head lm_head.weight is f64 but h is f32"),
            std::string::npos);
  const Tensor narrow = random_tensor(pass.plain, {1, 2}, DType::kF64, 1);
  EXPECT_NE(
      refusal([&] { target_logprobs(pass.plain, narrow, s.head, s.target); }).find("h is [1, 2]"),
      std::string::npos);
}

}  // namespace
}  // namespace fathom
