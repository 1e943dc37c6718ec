#include "ops/swiglu/swiglu.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ops/simd_testing.h"
#include "ops/swiglu/kernels.h"

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
  table.swiglu = &cpu::swiglu;
  table.swiglu_backward = &cpu::swiglu_backward;
  return table;
}

struct Case {
  int64_t rows, width;
  bool slice;  // gate_up is a column slice
};

constexpr Case kCases[] = {{0, 8, false},  {1, 1, false},   {3, 5, true},    {17, 64, false},
                           {2, 511, true}, {130, 97, true}, {700, 48, false}};

// A rounding of exp, of the quotient and of each product: eight or so, twice that as a margin.
constexpr double kRoundings = 16 * 0x1p-24;

struct Results {
  Tensor y, dgate_up;
};

Results run(const KernelTable& kernels, Pass& pass, const Case& c) {
  const Tensor x = c.slice ? random_slice(pass, c.rows, 2 * c.width, DType::kF32, 1)
                           : random_tensor(pass, {c.rows, 2 * c.width}, DType::kF32, 1, 3);
  const Tensor dy = random_slice(pass, c.rows, c.width, DType::kF32, 2);
  Results r{pass.empty({c.rows, c.width}, DType::kF32),
            random_slice(pass, c.rows, 2 * c.width, DType::kF32, 3)};
  kernels.swiglu(nullptr, x.read(), r.y.write());
  kernels.swiglu_backward(nullptr, x.read(), dy.read(), r.dgate_up.write());
  return r;
}

TEST(Swiglu, GatesTheSecondHalfByTheFirst) {
  TestPass pass;
  const Tensor x = from_values(pass.plain, {2, 4}, DType::kF64, {0, 2, 5, -3, -1, 1, 4, 0.5});
  const std::vector<double> y = to_doubles(swiglu(pass.plain, x));
  ASSERT_EQ(y.size(), 4u);
  EXPECT_EQ(y[0], 0);
  EXPECT_NEAR(y[1], 2 / (1 + std::exp(-2)) * -3, 1e-14);
  EXPECT_NEAR(y[2], -1 / (1 + std::exp(1)) * 4, 1e-14);
  EXPECT_NEAR(y[3], 1 / (1 + std::exp(-1)) * 0.5, 1e-14);
}

TEST(Swiglu, GradientEqualsDifferences) {
  TestPass pass;
  const auto fn = [](Pass& p, const std::vector<Tensor>& x) { return swiglu(p, x[0]); };
  EXPECT_EQ(testing::check_gradients(fn, {{4, 10}}, {}, pass), "");
}

TEST(Swiglu, FastKernelsEqualTheReference) {
  testing::for_each_simd_target([] {
    TestPass pass;
    for (const Case& c : kCases) {
      SCOPED_TRACE(concat(c.rows, "x", c.width));
      const Results want = run(reference_kernels(), pass.plain, c);
      const Results got = run(fast_kernels(), pass.plain, c);
      EXPECT_EQ(difference(got.y, want.y, kRoundings, 0), "");
      // 1 + g · (1 − s) cancels near its zero: an error of dy · up, at most about 50 here.
      EXPECT_EQ(difference(got.dgate_up, want.dgate_up, kRoundings, 50 * kRoundings), "");
    }
  });
}

TEST(Swiglu, ExtremeGatesStayFiniteAndNaNStaysNaN) {
  testing::for_each_simd_target([] {
    TestPass pass(fast_kernels());
    const std::vector<double> gates = {-1e4, -104, -88, -20, 20, 88, 104, 1e4, 1e30};
    std::vector<double> row = gates;
    row.insert(row.end(), gates.size(), 1.0);
    const auto width = static_cast<int64_t>(gates.size());
    Tensor x = from_values(pass.plain, {1, 2 * width}, DType::kF32, row);
    testing::require_grad(x);
    Tensor y = swiglu(pass.taped, x);
    pass.tape.backward(pass.taped, {{y, Tensor()}});
    const std::vector<double> values = to_doubles(y), dx = to_doubles(testing::grad_of(x));
    for (size_t i = 0; i < gates.size(); ++i) {
      const double want = gates[i] < -100 ? 0 : gates[i] / (1 + std::exp(-gates[i]));
      EXPECT_NEAR(values[i], want, 1e-6 * std::abs(want) + 1e-30) << gates[i];
      EXPECT_NEAR(dx[i], gates[i] > 0 ? 1 : 0, 1e-6) << gates[i];
    }
    const double nan = std::numeric_limits<double>::quiet_NaN();
    x = from_values(pass.plain, {1, 2}, DType::kF32, {nan, 1});
    EXPECT_TRUE(std::isnan(to_doubles(swiglu(pass.plain, x))[0]));
  });
}

TEST(Swiglu, ARowAloneEqualsTheRowInABatch) {
  testing::for_each_simd_target([] {
    TestPass pass(fast_kernels());
    const Tensor x = random_tensor(pass.plain, {600, 74}, DType::kF32, 1);
    const Tensor all = swiglu(pass.plain, x);
    for (int64_t r : {0, 1, 333, 599}) {
      EXPECT_TRUE(identical(swiglu(pass.plain, x.rows_at(r, 1)), all.rows_at(r, 1)));
    }
  });
}

TEST(Swiglu, ResultsDoNotDependOnThreads) {
  TestPass pass;
  const auto [one, two] = testing::with_one_and_two_threads([&] {
    return run(fast_kernels(), pass.plain, {901, 73, true});
  });
  EXPECT_TRUE(identical(one.y, two.y));
  EXPECT_TRUE(identical(one.dgate_up, two.dgate_up));
}

TEST(Swiglu, TapeChangesNoBit) {
  TestPass pass(fast_kernels());
  Tensor x = random_tensor(pass.plain, {12, 50}, DType::kF32, 1);
  const Tensor without = swiglu(pass.plain, x);
  testing::require_grad(x);
  EXPECT_TRUE(identical(swiglu(pass.taped, x), without));
  EXPECT_FALSE(pass.tape.empty());
}

TEST(Swiglu, RefusesAnOddWidth) {
  TestPass pass;
  const Tensor x = random_tensor(pass.plain, {2, 7}, DType::kF32, 1);
  try {
    swiglu(pass.plain, x);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("[2, 7]"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace fathom
