#include "ops/rope/rope.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ops/basic/kernels.h"
#include "ops/rope/kernels.h"
#include "ops/simd_testing.h"

namespace fathom {
namespace {

using testing::check_gradients;
using testing::difference;
using testing::from_values;
using testing::grad_of;
using testing::random_tensor;
using testing::require_grad;
using testing::TestPass;
using testing::to_doubles;

KernelTable kernels(bool fast) {
  KernelTable table;
  table.fill_zero = &reference::fill_zero;
  table.copy = &reference::copy;
  table.accumulate = &reference::accumulate;
  table.rope = fast ? &cpu::rope : &reference::rope;
  return table;
}

const std::vector<int32_t> kPositions = {0, 7, 5000};

// One rotated head between columns that stay: shape of one of MLA's queries.
constexpr RopeShape kMla{.heads = 3, .head_dim = 10, .begin = 6, .dim = 4, .interleaved = true};
constexpr RopeShape kDense{.heads = 2, .head_dim = 6, .begin = 0, .dim = 6, .interleaved = false};

RopeAngles angles_for(Pass& pass, int64_t dim, DType dtype, double magnitude = 1) {
  return rope_angles(pass, kPositions, rope_frequencies(10000, dim), dtype, magnitude);
}

TEST(Rope, PlainFrequenciesAreThoseOfTheFormula) {
  const std::vector<double> inv_freq = rope_frequencies(10000, 64);
  ASSERT_EQ(inv_freq.size(), 32u);
  // text models of theta 10000, dim 64: the first ten are untouched by YaRN too
  EXPECT_EQ(inv_freq[0], 1.0);
  const auto near = [](double got, double expected) {
    EXPECT_NEAR(got, expected, 2e-7 * expected);
  };
  near(inv_freq[1], 0.7498942093);
  near(inv_freq[8], 0.1);
  near(inv_freq[9], 0.07498942093);
  near(inv_freq[10], 0.05623413252);
  near(inv_freq[31], 40 * 3.333803580e-06);
  near(rope_frequencies(500000, 128)[28], 0.003211445995);
}

// As numpy gives them: 1 / float32(10000 ** float32(2i / 64)), every step in float32.
TEST(Rope, PlainFrequenciesHaveTheBitsOfThePublishedImplementation) {
  const std::vector<double> inv_freq = rope_frequencies(10000, 64);
  EXPECT_EQ(inv_freq[1], static_cast<double>(7.498942018e-01f));
  EXPECT_EQ(inv_freq[9], static_cast<double>(7.498941571e-02f));
  EXPECT_EQ(inv_freq[31], static_cast<double>(1.333521504e-04f));
}

TEST(Rope, AnglesAreProductsInF32ScaledByTheMagnitude) {
  TestPass pass(kernels(false));
  const std::vector<int32_t> far = {1000003};
  const std::vector<double> inv_freq = {1.0, 0.7498942093};
  const RopeAngles angles = rope_angles(pass.plain, far, inv_freq, DType::kF32, 1.25);
  EXPECT_FLOAT_EQ(angles.cos.data<float>()[0], static_cast<float>(1.25 * std::cos(1000003.0)));
  const double product = static_cast<double>(1000003.0f * 0.7498942093f);
  EXPECT_GT(std::abs(product - 1000003.0 * 0.7498942093), 1e-3);
  EXPECT_FLOAT_EQ(angles.sin.data<float>()[1], static_cast<float>(1.25 * std::sin(product)));
  const RopeAngles wide = rope_angles(pass.plain, far, inv_freq, DType::kF64);
  EXPECT_EQ(wide.sin.data<double>()[1], std::sin(1000003.0 * 0.7498942093));
}

TEST(Rope, TurnsAdjacentPairsAndLeavesOtherColumnsAlone) {
  TestPass pass(kernels(false));
  const std::vector<int32_t> position = {2};
  const std::vector<double> inv_freq = {0.5, 0.25};
  const RopeAngles angles = rope_angles(pass.plain, position, inv_freq, DType::kF64);
  const RopeShape shape{.heads = 1, .head_dim = 5, .begin = 1, .dim = 4, .interleaved = true};
  Tensor x = from_values(pass.plain, {1, 6}, DType::kF64, {9, 1, 2, 3, 4, 8});
  const std::vector<double> y = to_doubles(rope(pass.plain, std::move(x), angles, shape));
  const double c0 = std::cos(1.0), s0 = std::sin(1.0), c1 = std::cos(0.5), s1 = std::sin(0.5);
  const std::vector<double> expected = {
      9, c0 - 2 * s0, 2 * c0 + s0, 3 * c1 - 4 * s1, 4 * c1 + 3 * s1, 8};
  for (size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y[i], expected[i], 1e-14) << i;
}

TEST(Rope, HalfSplitEqualsAdjacentPairsAfterDeinterleaving) {
  TestPass pass(kernels(false));
  const RopeShape pairs{.heads = 2, .head_dim = 6, .begin = 0, .dim = 6, .interleaved = true};
  RopeShape halves = pairs;
  halves.interleaved = false;
  const RopeAngles angles = angles_for(pass.plain, 6, DType::kF64);
  const Tensor x = random_tensor(pass.plain, {3, 12}, DType::kF64, 1);
  const auto deinterleaved = [&](const Tensor& from) {
    const std::vector<double> in = to_doubles(from);
    std::vector<double> out(in.size());
    for (size_t head = 0; head < in.size(); head += 6) {
      for (size_t i = 0; i < 3; ++i) {
        out[head + i] = in[head + 2 * i];
        out[head + i + 3] = in[head + 2 * i + 1];
      }
    }
    return from_values(pass.plain, {3, 12}, DType::kF64, out);
  };
  const Tensor by_pairs = deinterleaved(rope(pass.plain, x, angles, pairs));
  const Tensor by_halves = rope(pass.plain, deinterleaved(x), angles, halves);
  EXPECT_EQ(to_doubles(by_pairs), to_doubles(by_halves));
}

TEST(Rope, FastKernelEqualsTheReference) {
  const RopeShape shapes[] = {
      kMla,
      kDense,
      {.heads = 3, .head_dim = 64, .begin = 0, .dim = 64, .interleaved = false},
      {.heads = 2, .head_dim = 96, .begin = 32, .dim = 64, .interleaved = true},
      {.heads = 5, .head_dim = 38, .begin = 1, .dim = 36, .interleaved = true},
      {.heads = 1, .head_dim = 2, .begin = 0, .dim = 2, .interleaved = false}};
  TestPass plain(kernels(false));
  for (const RopeShape& shape : shapes) {
    for (const int64_t tokens : {0, 1, 3, 700}) {
      std::vector<int32_t> positions(static_cast<size_t>(tokens));
      for (size_t i = 0; i < positions.size(); ++i) positions[i] = static_cast<int32_t>(i * 37);
      const RopeAngles angles =
          rope_angles(plain.plain, positions, rope_frequencies(10000, shape.dim));
      const Tensor x = testing::random_slice(plain.plain, tokens, shape.heads * shape.head_dim + 3,
                                             DType::kF32, 7);
      testing::for_each_simd_target([&] {
        for (const bool inverse : {false, true}) {
          Tensor expected = plain.plain.empty(x.shape(), DType::kF32);
          Tensor got = plain.plain.empty(x.shape(), DType::kF32);
          reference::copy(nullptr, x.read(), expected.write());
          reference::copy(nullptr, x.read(), got.write());
          reference::rope(nullptr, expected.write(), angles.cos.read(), angles.sin.read(), shape,
                          inverse);
          cpu::rope(nullptr, got.write(), angles.cos.read(), angles.sin.read(), shape, inverse);
          EXPECT_EQ(difference(got, expected, 0, 4 * testing::sum_tolerance(2)), "");
        }
      });
    }
  }
}

TEST(Rope, ARowAloneEqualsTheSameRowAmongOthers) {
  testing::for_each_simd_target([] {
    TestPass pass(kernels(true));
    const RopeAngles angles = angles_for(pass.plain, 4, DType::kF32);
    const Tensor x = random_tensor(pass.plain, {3, 30}, DType::kF32, 8);
    const Tensor all = rope(pass.plain, x, angles, kMla);
    const RopeAngles last{angles.cos.rows_at(2, 1), angles.sin.rows_at(2, 1)};
    EXPECT_TRUE(
        testing::identical(rope(pass.plain, x.rows_at(2, 1), last, kMla), all.rows_at(2, 1)));
  });
}

TEST(Rope, ResultsDoNotDependOnTheNumberOfThreads) {
  TestPass pass(kernels(true));
  const std::vector<int32_t> positions(1000, 5);
  const RopeShape shape{.heads = 4, .head_dim = 32, .begin = 0, .dim = 32, .interleaved = false};
  const RopeAngles angles = rope_angles(pass.plain, positions, rope_frequencies(10000, 32));
  const Tensor x = random_tensor(pass.plain, {1000, 128}, DType::kF32, 9);
  const auto [one, two] =
      testing::with_one_and_two_threads([&] { return rope(pass.plain, x, angles, shape); });
  EXPECT_TRUE(testing::identical(one, two));
}

TEST(Rope, GradientMatchesDifferences) {
  TestPass pass(kernels(false));
  for (const RopeShape& shape : {kMla, kDense}) {
    const RopeAngles angles = angles_for(pass.plain, shape.dim, DType::kF64, 1.1);
    const auto fn = [&](Pass& p, const std::vector<Tensor>& x) {
      return rope(p, x[0], angles, shape);
    };
    EXPECT_EQ(check_gradients(fn, {{3, shape.heads * shape.head_dim}}, {}, pass), "");
  }
}

TEST(Rope, WorksInPlaceOnlyWhereNobodyElseOwnsTheStorage) {
  TestPass pass(kernels(false));
  const RopeAngles angles = angles_for(pass.plain, 4, DType::kF32);
  Tensor x = random_tensor(pass.plain, {3, 30}, DType::kF32, 2);
  const std::vector<double> before = to_doubles(x);
  const Tensor copied = rope(pass.plain, x, angles, kMla);
  EXPECT_EQ(to_doubles(x), before);
  EXPECT_FALSE(copied.same_storage(x));
  const float* place = x.data<float>();
  const Tensor moved = rope(pass.plain, std::move(x), angles, kMla);
  EXPECT_EQ(moved.data<float>(), place);
  EXPECT_EQ(to_doubles(moved), to_doubles(copied));
}

TEST(Rope, TurnsQueriesAndKeysOfOneProductInPlaceWhileTheyAreRecorded) {
  TestPass pass(kernels(false));
  // Two query heads and one key head of 4, then a value head that stays.
  const RopeShape queries{.heads = 2, .head_dim = 4, .begin = 0, .dim = 4, .interleaved = false};
  const RopeShape key{.heads = 1, .head_dim = 12, .begin = 8, .dim = 4, .interleaved = false};
  const RopeAngles angles = angles_for(pass.plain, 4, DType::kF64);
  const auto turn_both = [&](Pass& p, Tensor qkv) {
    return rope(p, rope(p, std::move(qkv), angles, queries), angles, key);
  };
  Tensor qkv = random_tensor(pass.plain, {3, 16}, DType::kF64, 6);
  require_grad(qkv);
  const double* place = qkv.data<double>();
  EXPECT_EQ(turn_both(pass.taped, std::move(qkv)).data<double>(), place);
  pass.tape.clear();
  const auto fn = [&](Pass& p, const std::vector<Tensor>& x) { return turn_both(p, x[0]); };
  EXPECT_EQ(check_gradients(fn, {{3, 16}}, {}, pass), "");
}

TEST(Rope, GivesTheSameBitsWithAndWithoutTape) {
  TestPass pass(kernels(false));
  const RopeAngles angles = angles_for(pass.plain, 4, DType::kF32);
  Tensor x = random_tensor(pass.plain, {3, 30}, DType::kF32, 3);
  const Tensor plain = rope(pass.plain, x, angles, kMla);
  require_grad(x);
  EXPECT_EQ(to_doubles(rope(pass.taped, x, angles, kMla)), to_doubles(plain));
  EXPECT_FALSE(pass.tape.empty());
}

TEST(Rope, RefusesAnglesOfAnotherWidthAndSaysWhich) {
  TestPass pass(kernels(false));
  const RopeAngles angles = angles_for(pass.plain, 6, DType::kF32);
  try {
    rope(pass.plain, random_tensor(pass.plain, {3, 30}, DType::kF32, 4), angles, kMla);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("expected [3, 2]"), std::string::npos) << error.what();
  }
  EXPECT_THROW(rope(pass.plain, random_tensor(pass.plain, {3, 11}, DType::kF32, 5), angles, kDense),
               Error);
  EXPECT_THROW(rope(pass.plain, random_tensor(pass.plain, {3, 12}, DType::kF64, 5), angles, kDense),
               Error);
}

}  // namespace
}  // namespace fathom
