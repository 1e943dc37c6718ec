#include "ops/rms_norm/rms_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ops/columns/columns.h"
#include "ops/rms_norm/kernels.h"
#include "ops/simd_testing.h"

namespace fathom {
namespace {

using testing::difference;
using testing::identical;
using testing::random_parameter;
using testing::random_slice;
using testing::random_tensor;
using testing::TestPass;
using testing::to_doubles;

constexpr float kEps = 1e-6f;

KernelTable fast_kernels() {
  KernelTable table = reference_kernels();
  table.rms_norm = &cpu::rms_norm;
  table.rms_norm_backward = &cpu::rms_norm_backward;
  return table;
}

struct Case {
  int64_t rows, cols;
  bool slice;  // x and dy are column slices
};

constexpr Case kCases[] = {{0, 8, false},  {1, 1, false},    {3, 5, true},    {17, 64, false},
                           {4, 192, true}, {130, 193, true}, {70, 31, false}, {1500, 128, false},
                           {9, 576, true}, {33, 16, false},  {2100, 17, true}};

Tensor input(Pass& pass, const Case& c, uint64_t seed) {
  return c.slice ? random_slice(pass, c.rows, c.cols, DType::kF32, seed)
                 : random_tensor(pass, {c.rows, c.cols}, DType::kF32, seed);
}

struct Results {
  Tensor y, inv_rms, dx, dw;
};

// Both kernels; dx and dw begin as the same random numbers, to which they are added or not.
Results run(const KernelTable& kernels, Pass& pass, const Case& c, bool accumulate) {
  const Tensor x = input(pass, c, 1), dy = input(pass, c, 2);
  const Tensor w = random_tensor(pass, {c.cols}, DType::kF32, 3);
  Results r{pass.empty({c.rows, c.cols}, DType::kF32), pass.empty({c.rows}, DType::kF32),
            input(pass, c, 4), random_tensor(pass, {c.cols}, DType::kF32, 5)};
  kernels.rms_norm(nullptr, x.read(), w.read(), kEps, r.y.write(), r.inv_rms.write());
  kernels.rms_norm_backward(nullptr, x.read(), w.read(), r.inv_rms.read(), dy.read(), r.dx.write(),
                            accumulate, r.dw.write(), accumulate);
  return r;
}

TEST(RmsNorm, DividesByTheRootOfTheMeanSquare) {
  TestPass pass;
  const Tensor x = testing::from_values(pass.plain, {1, 2}, DType::kF64, {3, 4});
  Parameter w = random_parameter(pass.plain, "w", {2}, DType::kF64, 1);
  w.value = testing::from_values(pass.plain, {2}, DType::kF64, {1, -2});
  const std::vector<double> y = to_doubles(rms_norm(pass.plain, x, w, 0.25f));
  EXPECT_NEAR(y[0], 3 / std::sqrt(12.75), 1e-12);
  EXPECT_NEAR(y[1], -8 / std::sqrt(12.75), 1e-12);
}

TEST(RmsNorm, GradientEqualsDifferences) {
  TestPass pass;
  Parameter w = random_parameter(pass.plain, "w", {7}, DType::kF64, 3);
  const auto norm = [&](Pass& p, const std::vector<Tensor>& x) {
    return rms_norm(p, x[0], w, kEps);
  };
  EXPECT_EQ(testing::check_gradients(norm, {{5, 7}}, {&w}, pass), "");
}

TEST(RmsNorm, GradientOfAColumnSliceReachesTheWholeInput) {
  TestPass pass;
  Parameter w = random_parameter(pass.plain, "w", {4}, DType::kF64, 3);
  const auto norm = [&](Pass& p, const std::vector<Tensor>& x) {
    return rms_norm(p, split_columns(p, x[0], {2, 4, 1})[1], w, kEps);
  };
  EXPECT_EQ(testing::check_gradients(norm, {{3, 7}}, {&w}, pass), "");
}

TEST(RmsNorm, FastKernelsEqualTheReference) {
  testing::for_each_simd_target([] {
    TestPass pass;
    for (const Case& c : kCases) {
      for (bool accumulate : {false, true}) {
        SCOPED_TRACE(concat(c.rows, "x", c.cols, accumulate ? " added" : ""));
        const Results want = run(reference_kernels(), pass.plain, c, accumulate);
        const Results got = run(fast_kernels(), pass.plain, c, accumulate);
        const double row = testing::sum_tolerance(c.cols), column = testing::sum_tolerance(c.rows);
        EXPECT_EQ(difference(got.y, want.y, row, 0), "");
        EXPECT_EQ(difference(got.inv_rms, want.inv_rms, row, 0), "");
        // Terms of dx and dw are at most about 10 here, whatever is left when they cancel.
        const double scale = 10 * (c.cols < 8 ? 1 / std::sqrt(static_cast<double>(kEps)) : 1.0);
        EXPECT_EQ(difference(got.dx, want.dx, row, row * scale), "");
        EXPECT_EQ(difference(got.dw, want.dw, column, 10 * column), "");
      }
    }
  });
}

TEST(RmsNorm, GradientsMayBeWantedOneByOne) {
  TestPass pass;
  const Case c{100, 37, false};
  const Results both = run(fast_kernels(), pass.plain, c, false);
  const Tensor x = input(pass.plain, c, 1), dy = input(pass.plain, c, 2);
  const Tensor w = random_tensor(pass.plain, {c.cols}, DType::kF32, 3);
  for (const KernelTable& table : {reference_kernels(), fast_kernels()}) {
    Tensor dx = pass.plain.empty({c.rows, c.cols}, DType::kF32);
    Tensor dw = pass.plain.empty({c.cols}, DType::kF32);
    table.rms_norm_backward(nullptr, x.read(), w.read(), both.inv_rms.read(), dy.read(), dx.write(),
                            false, View{}, false);
    table.rms_norm_backward(nullptr, x.read(), w.read(), both.inv_rms.read(), dy.read(), View{},
                            false, dw.write(), false);
    EXPECT_EQ(difference(dx, both.dx, 1e-5, 1e-5), "");
    EXPECT_EQ(difference(dw, both.dw, 1e-5, 1e-4), "");
  }
}

TEST(RmsNorm, ARowAloneEqualsTheRowInABatch) {
  testing::for_each_simd_target([] {
    TestPass pass(fast_kernels());
    const Tensor x = random_tensor(pass.plain, {300, 77}, DType::kF32, 1);
    const Parameter w = random_parameter(pass.plain, "w", {77}, DType::kF32, 2);
    const Tensor all = rms_norm(pass.plain, x, w, kEps);
    for (int64_t r : {0, 1, 150, 299}) {
      EXPECT_TRUE(identical(rms_norm(pass.plain, x.rows_at(r, 1), w, kEps), all.rows_at(r, 1)));
    }
  });
}

TEST(RmsNorm, ResultsDoNotDependOnThreads) {
  TestPass pass;
  const auto [one, two] = testing::with_one_and_two_threads([&] {
    return run(fast_kernels(), pass.plain, {1501, 99, true}, true);
  });
  EXPECT_TRUE(identical(one.y, two.y));
  EXPECT_TRUE(identical(one.dx, two.dx));
  EXPECT_TRUE(identical(one.dw, two.dw));
}

TEST(RmsNorm, TapeChangesNoBit) {
  TestPass pass(fast_kernels());
  Tensor x = random_tensor(pass.plain, {12, 50}, DType::kF32, 1);
  const Parameter w = random_parameter(pass.plain, "w", {50}, DType::kF32, 2);
  const Tensor without = rms_norm(pass.plain, x, w, kEps);
  testing::require_grad(x);
  EXPECT_TRUE(identical(rms_norm(pass.taped, x, w, kEps), without));
  EXPECT_FALSE(pass.tape.empty());
}

TEST(RmsNorm, GradientOfTheWeightAddsUpOverMicrobatches) {
  TestPass pass(fast_kernels());
  Tensor x = random_tensor(pass.plain, {20, 24}, DType::kF32, 1);  // one chunk of rows
  const Parameter w = random_parameter(pass.plain, "w", {24}, DType::kF32, 2);
  for (int i = 0; i < 2; ++i) {
    Tensor y = rms_norm(pass.taped, x, w, kEps);
    pass.tape.backward(pass.taped, {{y, Tensor()}});
  }
  const std::vector<double> twice = to_doubles(w.grad->value);
  w.grad->clear();
  Tensor y = rms_norm(pass.taped, x, w, kEps);
  pass.tape.backward(pass.taped, {{y, Tensor()}});
  const std::vector<double> once = to_doubles(w.grad->value);
  for (size_t i = 0; i < once.size(); ++i) EXPECT_EQ(twice[i], 2 * once[i]);
}

TEST(RmsNorm, RefusesAWeightOfAnotherWidth) {
  TestPass pass;
  const Tensor x = random_tensor(pass.plain, {2, 8}, DType::kF32, 1);
  const Parameter w = random_parameter(pass.plain, "model.norm.weight", {6}, DType::kF32, 2);
  try {
    rms_norm(pass.plain, x, w, kEps);
    FAIL() << "no error";
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("model.norm.weight"), std::string::npos) << message;
    EXPECT_NE(message.find("[6]"), std::string::npos) << message;
    EXPECT_NE(message.find("[2, 8]"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace fathom
