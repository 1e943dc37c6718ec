#include "ops/softmax_weights/softmax_weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "ops/simd_testing.h"
#include "ops/softmax_weights/kernels.h"

namespace fathom {
namespace {

using testing::difference;
using testing::from_values;
using testing::random_slice;
using testing::random_tensor;
using testing::TestPass;
using testing::to_doubles;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

KernelTable fast_kernels() {
  KernelTable table = reference_kernels();
  table.softmax_weights = &cpu::softmax_weights;
  return table;
}

struct Case {
  int64_t rows, vocab;
  bool slice;
};

constexpr Case kCases[] = {{0, 8, false},   {1, 1, false},     {3, 5, true},     {2, 255, false},
                           {5, 256, false}, {4, 257, true},    {7, 513, true},   {64, 512, false},
                           {9, 777, true},  {40, 4096, false}, {2, 40001, false}};

Tensor input(Pass& pass, const Case& c, double scale) {
  const Tensor x =
      random_tensor(pass, {c.rows, c.vocab + (c.slice ? 5 : 0)}, DType::kF32, 1, scale);
  return c.slice ? x.columns(2, c.vocab) : x;
}

// Rows of T = 1 and of other temperatures in turn.
std::vector<float> temperatures(int64_t rows) {
  constexpr float kInverse[] = {1.0f, 1.25f, 0.3f, 1.0f, 40.0f};
  std::vector<float> inverse;
  for (int64_t r = 0; r < rows; ++r) inverse.push_back(kInverse[r % 5]);
  return inverse;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.bytes() == b.bytes() &&
         (a.bytes() == 0 ||
          std::memcmp(a.read().data, b.read().data, static_cast<size_t>(a.bytes())) == 0);
}

bool same_bits(const SoftmaxWeights& a, const SoftmaxWeights& b) {
  return same_bits(a.weight, b.weight) && same_bits(a.block_sum, b.block_sum) &&
         same_bits(a.best, b.best) && same_bits(a.lse, b.lse);
}

// Calls fn(pass) with the reference and with the fast kernel on every instruction set.
template <class Fn>
void for_each_version(const Fn& fn) {
  TestPass reference;
  fn(reference.plain);
  testing::for_each_simd_target([&] {
    TestPass fast(fast_kernels());
    fn(fast.plain);
  });
}

TEST(SoftmaxWeights, AreExponentialsBelowTheBest) {
  for_each_version([](Pass& pass) {
    const Tensor x = from_values(pass, {1, 3}, DType::kF32, {1, 3, 2});
    const std::vector<float> inverse = {0.5f};
    const SoftmaxWeights y = softmax_weights(pass, x, inverse);
    const std::vector<double> w = to_doubles(y.weight);
    EXPECT_NEAR(w[0], std::exp(-1.0), 1e-7);
    EXPECT_EQ(w[1], 1);
    EXPECT_NEAR(w[2], std::exp(-0.5), 1e-7);
    EXPECT_NEAR(to_doubles(y.block_sum)[0], w[0] + w[1] + w[2], 1e-6);
    EXPECT_EQ(to_doubles(y.best)[0], 1);
    EXPECT_NEAR(to_doubles(y.lse)[0], std::log(std::exp(1.0) + std::exp(3.0) + std::exp(2.0)),
                1e-6);
  });
}

TEST(SoftmaxWeights, FastKernelEqualsTheReference) {
  testing::for_each_simd_target([] {
    TestPass want(reference_kernels()), got(fast_kernels());
    for (const Case& c : kCases) {
      for (const double scale : {0.1, 3.0, 30.0}) {
        SCOPED_TRACE(concat(c.rows, "x", c.vocab, " scale ", scale));
        const Tensor x = input(want.plain, c, scale);
        const std::vector<float> inverse = temperatures(c.rows);
        const SoftmaxWeights a = softmax_weights(got.plain, x, inverse);
        const SoftmaxWeights b = softmax_weights(want.plain, x, inverse);
        // The exponent, down to −87, is rounded twice; e^t takes its absolute error over. The
        // smallest weights may be 0 in one version alone.
        const double relative = 2 * 88 * 0x1p-24;
        EXPECT_EQ(difference(a.weight, b.weight, relative, 0x1p-125), "");
        EXPECT_EQ(difference(a.weight, b.weight, 0, 3 * 0x1p-24), "");
        const double of_sum = relative + testing::sum_tolerance(kWeightBlock);
        EXPECT_EQ(difference(a.block_sum, b.block_sum, of_sum, kWeightBlock * 0x1p-125), "");
        EXPECT_EQ(difference(a.lse, b.lse, 0, 1e-6), "");  // log-probabilities are held to this
        EXPECT_EQ(to_doubles(a.best), to_doubles(b.best));
      }
    }
  });
}

// Each place in turn is the best of a row; then two places share the largest logit.
TEST(SoftmaxWeights, BestIsTheFirstOfTheLargest) {
  for_each_version([](Pass& pass) {
    constexpr int64_t kVocab = 301;
    Tensor x = random_tensor(pass, {kVocab, kVocab}, DType::kF32, 1);
    for (int64_t r = 0; r < kVocab; ++r) {
      x.write().row<float>(r)[r] = 20;
      x.write().row<float>(r)[std::max<int64_t>(r, kVocab - 7)] = 20;
    }
    const SoftmaxWeights y = softmax_weights(pass, x, std::vector<float>(kVocab, 1.0f));
    for (int64_t r = 0; r < kVocab; ++r) EXPECT_EQ(y.best.data<int32_t>()[r], r);
  });
}

TEST(SoftmaxWeights, MinusInfinityWeighsNothing) {
  for_each_version([](Pass& pass) {
    const std::vector<float> inverses = {1.0f, 0.5f, std::numeric_limits<float>::min(),
                                         std::numeric_limits<float>::max()};
    Tensor x = random_tensor(pass, {4, 600}, DType::kF32, 1);
    for (int64_t r = 0; r < 4; ++r) {
      for (int64_t i = 0; i < 600; i += 1 + r) x.write().row<float>(r)[i] = -kInfinity;
      x.write().row<float>(r)[311] = 1;
    }
    const SoftmaxWeights y = softmax_weights(pass, x, inverses);
    for (int64_t r = 0; r < 4; ++r) {
      for (int64_t i = 0; i < 600; ++i) {
        const float weight = y.weight.data<float>()[r * 600 + i];
        EXPECT_FALSE(std::isnan(weight)) << r << ", " << i;
        const bool masked = x.data<float>()[r * 600 + i] == -kInfinity;
        EXPECT_TRUE(weight == 0 || !masked) << r << ", " << i;
      }
      EXPECT_TRUE(std::isfinite(y.lse.data<double>()[r])) << r;
    }
    EXPECT_EQ(y.best.data<int32_t>()[0], 311);
    EXPECT_EQ(y.lse.data<double>()[0], 1);
  });
}

// Whole vectors, the partial one at the end, first and last places.
TEST(SoftmaxWeights, ARowThatCannotBeSampledSaysSo) {
  for_each_version([](Pass& pass) {
    for (const int64_t vocab : {5, 64, 83, 523}) {
      for (const int64_t place : {int64_t{0}, vocab / 2, vocab - 1}) {
        Tensor x = random_tensor(pass, {5, vocab}, DType::kF32, 1);
        x.write().row<float>(1)[place] = kNan;
        x.write().row<float>(2)[place] = kInfinity;
        for (int64_t i = 0; i < vocab; ++i) x.write().row<float>(3)[i] = -kInfinity;
        const SoftmaxWeights y = softmax_weights(pass, x, std::vector<float>(5, 1.0f));
        for (const int64_t r : {1, 2, 3}) {
          EXPECT_EQ(y.best.data<int32_t>()[r], -1) << r;
          EXPECT_TRUE(std::isnan(y.lse.data<double>()[r])) << r;
          for (const double w : to_doubles(y.weight.rows_at(r, 1))) EXPECT_EQ(w, 0);
          for (const double sum : to_doubles(y.block_sum.rows_at(r, 1))) EXPECT_EQ(sum, 0);
        }
        for (const int64_t r : {0, 4}) {
          EXPECT_GE(y.best.data<int32_t>()[r], 0);
          EXPECT_TRUE(std::isfinite(y.lse.data<double>()[r]));
        }
      }
    }
  });
}

TEST(SoftmaxWeights, ARowAloneEqualsTheRowInABatch) {
  testing::for_each_simd_target([] {
    TestPass pass(fast_kernels());
    const Tensor x = random_slice(pass.plain, 61, 1003, DType::kF32, 1);
    const std::vector<float> inverse = temperatures(61);
    const SoftmaxWeights all = softmax_weights(pass.plain, x, inverse);
    for (const int64_t r : {0, 1, 33, 60}) {
      const SoftmaxWeights alone = softmax_weights(
          pass.plain, x.rows_at(r, 1), std::span(inverse).subspan(static_cast<size_t>(r), 1));
      EXPECT_TRUE(same_bits(alone.weight, all.weight.rows_at(r, 1))) << r;
      EXPECT_TRUE(same_bits(alone.block_sum, all.block_sum.rows_at(r, 1))) << r;
      EXPECT_EQ(alone.best.data<int32_t>()[0], all.best.data<int32_t>()[r]) << r;
      EXPECT_EQ(alone.lse.data<double>()[0], all.lse.data<double>()[r]) << r;
    }
  });
}

TEST(SoftmaxWeights, ResultsDoNotDependOnThreads) {
  TestPass pass(fast_kernels());
  const Tensor x = random_tensor(pass.plain, {97, 2049}, DType::kF32, 1, 3);
  const auto [one, two] = testing::with_one_and_two_threads(
      [&] { return softmax_weights(pass.plain, x, temperatures(97)); });
  EXPECT_TRUE(same_bits(one, two));
}

std::string refusal(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(SoftmaxWeights, RefusesWhatItCannotRead) {
  TestPass pass;
  const Tensor x = random_tensor(pass.plain, {2, 8}, DType::kF32, 1);
  const Tensor wide = random_tensor(pass.plain, {2, 8}, DType::kF64, 1);
  const auto of = [&](const Tensor& logits, std::vector<float> inverse) {
    return refusal([&] { softmax_weights(pass.plain, logits, inverse); });
  };
  EXPECT_NE(of(wide, {1, 1}).find("logits are f64"), std::string::npos);
  EXPECT_NE(of(x, {1}).find("1 inverse temperatures for logits [2, 8]"), std::string::npos);
  for (const float bad : {0.0f, -1.0f, kInfinity, kNan})
    EXPECT_NE(of(x, {1, bad}).find("inverse temperature of row 1"), std::string::npos) << bad;
}

}  // namespace
}  // namespace fathom
