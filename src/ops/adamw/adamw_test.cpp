#include <gtest/gtest.h>

#include <cmath>

#include "ops/adamw/kernels.h"
#include "ops/simd_testing.h"

namespace fathom {
namespace {

using testing::difference;
using testing::from_values;
using testing::identical;
using testing::random_slice;
using testing::random_tensor;
using testing::TestPass;
using testing::to_doubles;

constexpr AdamWStep kStep{.lr = 3e-3,
                          .beta1 = 0.9,
                          .beta2 = 0.95,
                          .eps = 1e-8,
                          .weight_decay = 0.1,
                          .correction1 = 1 - 0.9 * 0.9 * 0.9,
                          .correction2 = 1 - 0.95 * 0.95 * 0.95,
                          .grad_scale = 0.5};

struct State {
  Tensor value, m, v;
};

template <class Kernel>
State run(const Kernel& kernel, Pass& pass, int64_t count, bool with_grad) {
  State s{random_tensor(pass, {count}, DType::kF32, 1),
          random_tensor(pass, {count}, DType::kF32, 2),
          random_tensor(pass, {count}, DType::kF32, 3)};
  float* v = s.v.mutable_data<float>();
  for (int64_t i = 0; i < count; ++i) v[i] *= v[i];
  const Tensor grad = with_grad ? random_tensor(pass, {count}, DType::kF32, 4) : Tensor();
  kernel(nullptr, s.value.write(), grad.read(), s.m.write(), s.v.write(), kStep);
  return s;
}

// torch.optim.AdamW(lr=0.1, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1) on one double, worked
// out by hand: after step 1 both moments are corrected to g and g², so the step is lr · sign(g).
TEST(AdamW, FirstStepMovesByTheLearningRate) {
  TestPass pass{KernelTable{}};
  for (auto kernel : {&reference::adamw, &cpu::adamw}) {
    Tensor p = from_values(pass.plain, {2}, DType::kF64, {1.0, -2.0});
    const Tensor g = from_values(pass.plain, {2}, DType::kF64, {0.25, -4.0});
    Tensor m = from_values(pass.plain, {2}, DType::kF64, {0, 0});
    Tensor v = from_values(pass.plain, {2}, DType::kF64, {0, 0});
    AdamWStep step{.lr = 0.1, .weight_decay = 0.1};
    step.correction1 = 1 - step.beta1;
    step.correction2 = 1 - step.beta2;
    kernel(nullptr, p.write(), g.read(), m.write(), v.write(), step);
    EXPECT_NEAR(to_doubles(p)[0], 0.99 - 0.1, 1e-8);
    EXPECT_NEAR(to_doubles(p)[1], -1.98 + 0.1, 1e-8);
    EXPECT_NEAR(to_doubles(m)[0], 0.025, 1e-15);
    EXPECT_NEAR(to_doubles(v)[1], 0.8, 1e-15);
  }
}

TEST(AdamW, FollowsTheFormulaOverSeveralSteps) {
  TestPass pass{KernelTable{}};
  Tensor p = from_values(pass.plain, {1}, DType::kF64, {0.7});
  Tensor m = from_values(pass.plain, {1}, DType::kF64, {0});
  Tensor v = from_values(pass.plain, {1}, DType::kF64, {0});
  double want = 0.7, mean = 0, square = 0;
  for (int t = 1; t <= 5; ++t) {
    const double raw = std::sin(t), g = 0.5 * raw;
    const Tensor grad = from_values(pass.plain, {1}, DType::kF64, {raw});
    AdamWStep step = kStep;
    step.correction1 = 1 - std::pow(step.beta1, t);
    step.correction2 = 1 - std::pow(step.beta2, t);
    reference::adamw(nullptr, p.write(), grad.read(), m.write(), v.write(), step);
    want -= step.lr * step.weight_decay * want;
    mean = 0.9 * mean + 0.1 * g;
    square = 0.95 * square + 0.05 * g * g;
    const double corrected = std::sqrt(square / step.correction2);
    want -= step.lr * (mean / step.correction1) / (corrected + step.eps);
    EXPECT_NEAR(to_doubles(p)[0], want, 1e-14) << "step " << t;
  }
}

TEST(AdamW, FastKernelEqualsTheReference) {
  testing::for_each_simd_target([] {
    TestPass pass{KernelTable{}};
    for (int64_t count : {0, 1, 7, 16, 1000, 40001}) {
      for (bool with_grad : {true, false}) {
        const State want = run(&reference::adamw, pass.plain, count, with_grad);
        const State got = run(&cpu::adamw, pass.plain, count, with_grad);
        // A handful of roundings; m may cancel, so its terms (at most about 5) bound it.
        constexpr double kRoundings = 4 * 0x1p-24;
        EXPECT_EQ(difference(got.m, want.m, kRoundings, 5 * kRoundings), "") << count;
        EXPECT_EQ(difference(got.v, want.v, kRoundings, 0), "") << count;
        EXPECT_EQ(difference(got.value, want.value, kRoundings, kRoundings), "") << count;
      }
    }
  });
}

TEST(AdamW, ResultsDoNotDependOnThreadsOrOnTheNeighbours) {
  TestPass pass{KernelTable{}};
  const auto [one, two] =
      testing::with_one_and_two_threads([&] { return run(&cpu::adamw, pass.plain, 50001, true); });
  EXPECT_TRUE(identical(one.value, two.value));
  EXPECT_TRUE(identical(one.m, two.m));
  EXPECT_TRUE(identical(one.v, two.v));
  // The same first elements in a shorter array, where the last of them are a partial vector.
  const State part = run(&cpu::adamw, pass.plain, 1003, true);
  EXPECT_TRUE(
      identical(part.value.reshaped({1, 1003}), one.value.reshaped({1, 50001}).columns(0, 1003)));
}

TEST(SumSquares, AddsInDouble) {
  TestPass pass{KernelTable{}};
  for (auto kernel : {&reference::sum_squares, &cpu::sum_squares}) {
    // In f32 the ones would vanish beside 1e7 squared.
    std::vector<double> values(101, 1.0);
    values[0] = 1e7;
    const Tensor x = from_values(pass.plain, {101}, DType::kF32, values);
    EXPECT_EQ(kernel(nullptr, x.read()), 1e14 + 100);
  }
}

TEST(SumSquares, FastKernelEqualsTheReference) {
  testing::for_each_simd_target([] {
    TestPass pass{KernelTable{}};
    for (const Shape& shape : {Shape{0, 3}, Shape{1}, Shape{5}, Shape{33, 7}, Shape{3, 40000}}) {
      const Tensor x = random_tensor(pass.plain, shape, DType::kF32, 1);
      const double want = reference::sum_squares(nullptr, x.read());
      EXPECT_NEAR(cpu::sum_squares(nullptr, x.read()), want, 1e-13 * want) << shape;
    }
    const Tensor slice = random_slice(pass.plain, 300, 129, DType::kF32, 2);
    const double want = reference::sum_squares(nullptr, slice.read());
    EXPECT_NEAR(cpu::sum_squares(nullptr, slice.read()), want, 1e-13 * want);
  });
}

TEST(SumSquares, DoesNotDependOnThreads) {
  TestPass pass{KernelTable{}};
  const Tensor x = random_tensor(pass.plain, {7, 30001}, DType::kF32, 1);
  const auto [one, two] =
      testing::with_one_and_two_threads([&] { return cpu::sum_squares(nullptr, x.read()); });
  EXPECT_EQ(one, two);
}

}  // namespace
}  // namespace fathom
