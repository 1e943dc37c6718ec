#include "ops/add/add.h"

#include <gtest/gtest.h>

#include "ops/add/kernels.h"
#include "ops/simd_testing.h"

namespace fathom {
namespace {

using testing::identical;
using testing::random_slice;
using testing::random_tensor;
using testing::TestPass;

KernelTable fast_kernels() {
  KernelTable table = reference_kernels();
  table.add = &cpu::add;
  return table;
}

TEST(Add, FastKernelEqualsTheReferenceToTheBit) {
  testing::for_each_simd_target([] {
    TestPass plain, fast(fast_kernels());
    const Shape shapes[] = {{0, 8}, {1, 1}, {3, 5}, {64, 192}, {700, 33}, {2, 3, 7}, {40000}};
    for (const Shape& shape : shapes) {
      const Tensor a = random_tensor(plain.plain, shape, DType::kF32, 1);
      const Tensor b = random_tensor(plain.plain, shape, DType::kF32, 2);
      EXPECT_TRUE(identical(add(plain.plain, a, b), add(fast.plain, a, b))) << shape;
    }
    const Tensor a = random_slice(plain.plain, 900, 37, DType::kF32, 1);
    const Tensor b = random_tensor(plain.plain, {900, 37}, DType::kF32, 2);
    EXPECT_TRUE(identical(add(plain.plain, a, b), add(fast.plain, a, b)));
    EXPECT_TRUE(identical(add(plain.plain, b, a), add(fast.plain, b, a)));
  });
}

TEST(Add, GradientEqualsDifferences) {
  TestPass pass;
  const auto fn = [](Pass& p, const std::vector<Tensor>& x) { return add(p, x[0], x[1]); };
  EXPECT_EQ(testing::check_gradients(fn, {{3, 4}, {3, 4}}, {}, pass), "");
}

TEST(Add, BothInputsMayBeTheSameTensor) {
  TestPass pass;
  const auto fn = [](Pass& p, const std::vector<Tensor>& x) {
    const Tensor y = add(p, x[0], x[0]);
    return add(p, y, x[1]);
  };
  EXPECT_EQ(testing::check_gradients(fn, {{3, 4}, {3, 4}}, {}, pass), "");
}

TEST(Add, ResultsDoNotDependOnThreads) {
  TestPass pass(fast_kernels());
  const Tensor a = random_tensor(pass.plain, {777, 63}, DType::kF32, 1);
  const Tensor b = random_tensor(pass.plain, {777, 63}, DType::kF32, 2);
  const auto [one, two] = testing::with_one_and_two_threads([&] { return add(pass.plain, a, b); });
  EXPECT_TRUE(identical(one, two));
}

TEST(Add, TapeChangesNoBitAndConstantsRecordNothing) {
  TestPass pass(fast_kernels());
  Tensor a = random_tensor(pass.plain, {5, 9}, DType::kF32, 1);
  const Tensor b = random_tensor(pass.plain, {5, 9}, DType::kF32, 2);
  const Tensor without = add(pass.taped, a, b);
  EXPECT_TRUE(pass.tape.empty());
  testing::require_grad(a);
  EXPECT_TRUE(identical(add(pass.taped, a, b), without));
  EXPECT_FALSE(pass.tape.empty());
}

TEST(Add, BackwardDoesNotKeepTheInputsAlive) {
  TestPass pass(fast_kernels());
  Tensor a = random_tensor(pass.plain, {512, 64}, DType::kF32, 1);
  testing::require_grad(a);
  const size_t before = pass.memory->in_use();
  Tensor y;
  {
    Tensor b = random_tensor(pass.plain, {512, 64}, DType::kF32, 2);
    y = add(pass.taped, a, b);
  }
  EXPECT_EQ(pass.memory->in_use() - before, static_cast<size_t>(y.bytes()));
}

TEST(Add, RefusesUnequalShapes) {
  TestPass pass;
  const Tensor a = random_tensor(pass.plain, {2, 6}, DType::kF32, 1);
  const Tensor b = random_tensor(pass.plain, {3, 4}, DType::kF32, 2);
  try {
    add(pass.plain, a, b);
    FAIL() << "no error";
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("[2, 6]"), std::string::npos) << message;
    EXPECT_NE(message.find("[3, 4]"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace fathom
