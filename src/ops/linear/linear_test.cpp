#include "ops/linear/linear.h"

#include <gtest/gtest.h>

#include "ops/swiglu/swiglu.h"
#include "ops/testing.h"

namespace fathom {
namespace {

using testing::check_gradients;
using testing::from_values;
using testing::grad_of;
using testing::random_parameter;
using testing::random_tensor;
using testing::require_grad;
using testing::TestPass;
using testing::to_doubles;

TEST(Linear, MultipliesByTheTransposedWeightAndAddsTheBias) {
  TestPass pass;
  const Tensor x = from_values(pass.plain, {2, 3}, DType::kF32, {1, 2, 3, -1, 0, 1});
  Parameter w = random_parameter(pass.plain, "w", {2, 3}, DType::kF32, 1);
  w.value = from_values(pass.plain, {2, 3}, DType::kF32, {1, 1, 1, 2, 0, -1});
  Parameter b = random_parameter(pass.plain, "b", {2}, DType::kF32, 2);
  b.value = from_values(pass.plain, {2}, DType::kF32, {10, 100});
  EXPECT_EQ(to_doubles(linear(pass.plain, x, w)), std::vector<double>({6, -1, 0, -3}));
  EXPECT_EQ(to_doubles(linear(pass.plain, x, w, &b)), std::vector<double>({16, 99, 10, 97}));
}

TEST(Linear, GradientMatchesDifferences) {
  TestPass pass;
  Parameter w = random_parameter(pass.plain, "w", {4, 3}, DType::kF64, 1);
  Parameter b = random_parameter(pass.plain, "b", {4}, DType::kF64, 2);
  const auto with_bias = [&](Pass& p, const std::vector<Tensor>& x) {
    return linear(p, x[0], w, &b);
  };
  EXPECT_EQ(check_gradients(with_bias, {{5, 3}}, {&w, &b}, pass), "");
  const auto plain = [&](Pass& p, const std::vector<Tensor>& x) { return linear(p, x[0], w); };
  EXPECT_EQ(check_gradients(plain, {{1, 3}}, {&w}, pass), "");
}

TEST(Linear, GradientsOfOneInputToTwoLayersAndOfOneWeightUsedTwiceAddUp) {
  TestPass pass;
  Parameter w = random_parameter(pass.plain, "w", {3, 3}, DType::kF64, 1);
  Parameter v = random_parameter(pass.plain, "v", {3, 3}, DType::kF64, 2);
  const auto fn = [&](Pass& p, const std::vector<Tensor>& x) {
    return linear(p, linear(p, linear(p, x[0], v), w), w);
  };
  EXPECT_EQ(check_gradients(fn, {{2, 3}}, {&w, &v}, pass), "");

  Tensor x = random_tensor(pass.plain, {2, 3}, DType::kF64, 3);
  require_grad(x);
  const Tensor first = linear(pass.taped, x, w), second = linear(pass.taped, x, v);
  pass.tape.backward(pass.taped, {{first, Tensor()}, {second, Tensor()}});
  const std::vector<double> dx = to_doubles(grad_of(x));
  const std::vector<double> a = to_doubles(w.value), b = to_doubles(v.value);
  for (size_t c = 0; c < 3; ++c)
    EXPECT_NEAR(dx[c], a[c] + a[c + 3] + a[c + 6] + b[c] + b[c + 3] + b[c + 6], 1e-12);
}

TEST(Linear, AFrozenWeightHasNoGradientAndItsInputStillHasOne) {
  TestPass pass;
  Parameter w = random_parameter(pass.plain, "w", {2, 3}, DType::kF32, 1);
  w.grad = nullptr;
  Tensor x = random_tensor(pass.plain, {4, 3}, DType::kF32, 2);
  require_grad(x);
  const Tensor y = linear(pass.taped, x, w);
  pass.tape.backward(pass.taped, {{y, Tensor()}});
  EXPECT_EQ(grad_of(x).shape(), (Shape{4, 3}));

  // Nothing to differentiate: nothing is recorded.
  linear(pass.taped, random_tensor(pass.plain, {4, 3}, DType::kF32, 2), w);
  EXPECT_TRUE(pass.tape.empty());
}

TEST(Linear, KeepsNoInputThatCanBeMadeAgain) {
  TestPass pass;
  Tensor gate_up = random_tensor(pass.plain, {32, 64}, DType::kF32, 1);
  Parameter w = random_parameter(pass.plain, "w", {8, 32}, DType::kF32, 2);
  const Tensor dy = random_tensor(pass.plain, {32, 8}, DType::kF32, 3);

  Tensor kept = swiglu(pass.plain, gate_up);  // without a tape: a constant, which has to be kept
  const Tensor y = linear(pass.taped, kept, w);
  pass.tape.backward(pass.taped, {{y, dy}});
  const std::vector<double> expected = to_doubles(w.grad->value);
  w.grad->clear();
  const auto bytes = static_cast<size_t>(kept.bytes());
  kept = Tensor();

  require_grad(gate_up);
  const size_t before = pass.memory->in_use();
  const Tensor again = linear(pass.taped, swiglu(pass.taped, gate_up), w);
  EXPECT_LT(pass.memory->in_use() - before, bytes);  // the output alone, a quarter of the input
  pass.tape.backward(pass.taped, {{again, dy}});
  EXPECT_EQ(to_doubles(w.grad->value), expected);
}

TEST(Linear, GivesTheSameBitsWithAndWithoutTape) {
  TestPass pass;
  Parameter w = random_parameter(pass.plain, "w", {17, 33}, DType::kF32, 1);
  Tensor x = random_tensor(pass.plain, {9, 33}, DType::kF32, 2);
  const Tensor plain = linear(pass.plain, x, w);
  require_grad(x);
  EXPECT_EQ(to_doubles(linear(pass.taped, x, w)), to_doubles(plain));
  EXPECT_FALSE(pass.tape.empty());
}

TEST(Linear, RefusesShapesAndTypesThatDoNotFit) {
  TestPass pass;
  const Tensor x = random_tensor(pass.plain, {2, 3}, DType::kF32, 1);
  const auto message = [&](const Shape& weight, const Shape& bias, DType dtype) -> std::string {
    Parameter w = random_parameter(pass.plain, "proj.weight", weight, dtype, 2);
    Parameter b = random_parameter(pass.plain, "proj.bias", bias, dtype, 3);
    try {
      linear(pass.plain, x, w, &b);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_NE(message({4, 5}, {4}, DType::kF32)
                .find("proj.weight is [4, 5], expected [out, in] with in = 3"),
            std::string::npos);
  EXPECT_NE(message({4, 3}, {5}, DType::kF32).find("proj.bias is [5], expected [4]"),
            std::string::npos);
  EXPECT_NE(message({4, 3}, {4}, DType::kF64).find("proj.weight is f64 but x is f32"),
            std::string::npos);
  EXPECT_EQ(message({4, 3}, {4}, DType::kF32), "accepted");
}

}  // namespace
}  // namespace fathom
