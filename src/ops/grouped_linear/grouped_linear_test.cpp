#include "ops/grouped_linear/grouped_linear.h"

#include <gtest/gtest.h>

#include "ops/linear/linear.h"
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

Tensor offsets(Pass& pass, const std::vector<double>& values) {
  return from_values(pass, {static_cast<int64_t>(values.size())}, DType::kI32, values);
}

TEST(GroupedLinear, MultipliesEachRowByTheWeightOfItsGroup) {
  TestPass pass;
  Parameter w = random_parameter(pass.plain, "w", {3, 1, 2}, DType::kF32, 1);
  w.value = from_values(pass.plain, {3, 1, 2}, DType::kF32, {1, 1, 10, 10, 1, -1});
  const Tensor x = from_values(pass.plain, {3, 2}, DType::kF32, {1, 2, 3, 4, 5, 7});
  EXPECT_EQ(to_doubles(grouped_linear(pass.plain, x, offsets(pass.plain, {0, 1, 1, 3}), w)),
            std::vector<double>({3, -1, -2}));
}

TEST(GroupedLinear, WithOneGroupIsLinear) {
  TestPass pass;
  Parameter w = random_parameter(pass.plain, "w", {4, 3}, DType::kF32, 1);
  Parameter stacked = random_parameter(pass.plain, "stacked", {1, 4, 3}, DType::kF32, 1);
  const Tensor x = random_tensor(pass.plain, {5, 3}, DType::kF32, 2);
  EXPECT_EQ(to_doubles(grouped_linear(pass.plain, x, offsets(pass.plain, {0, 5}), stacked)),
            to_doubles(linear(pass.plain, x, w)));
}

TEST(GroupedLinear, GradientMatchesDifferences) {
  TestPass pass;
  Parameter w = random_parameter(pass.plain, "w", {4, 2, 3}, DType::kF64, 1);
  const Tensor groups = offsets(pass.plain, {0, 2, 2, 3, 6});
  const auto fn = [&](Pass& p, const std::vector<Tensor>& x) {
    return grouped_linear(p, x[0], groups, w);
  };
  // Groups without rows are left as they were, so they begin with zeros.
  bool accumulate = false;
  Tensor dw = w.grad_target(pass.plain, accumulate);
  fill_zero(pass.plain, dw);
  EXPECT_EQ(check_gradients(fn, {{6, 3}}, {&w}, pass), "");
  EXPECT_EQ(w.grad->live, std::vector<uint8_t>({1, 0, 1, 1}));
}

TEST(GroupedLinear, MicrobatchesAddUpWhereverTheirRowsFall) {
  TestPass pass;
  Parameter w = random_parameter(pass.plain, "w", {3, 1, 1}, DType::kF32, 1);
  const Tensor x = from_values(pass.plain, {2, 1}, DType::kF32, {3, 4});
  for (const std::vector<double>& groups : {std::vector<double>{0, 1, 2, 2}, {0, 0, 2, 2}}) {
    const Tensor y = grouped_linear(pass.taped, x, offsets(pass.plain, groups), w);
    pass.tape.backward(pass.taped, {{y, Tensor()}});
  }
  EXPECT_EQ(w.grad->live, std::vector<uint8_t>({1, 1, 0}));
  EXPECT_EQ(to_doubles(w.grad->value)[0], 3);
  EXPECT_EQ(to_doubles(w.grad->value)[1], 4 + 7);
}

TEST(GroupedLinear, GradientsOfOneInputToTwoLayersAddUp) {
  TestPass pass;
  Parameter w = random_parameter(pass.plain, "w", {2, 3, 3}, DType::kF64, 1);
  w.grad = nullptr;
  const Tensor groups = offsets(pass.plain, {0, 1, 3});
  Tensor x = random_tensor(pass.plain, {3, 3}, DType::kF64, 2);
  require_grad(x);
  const Tensor first = grouped_linear(pass.taped, x, groups, w);
  pass.tape.backward(pass.taped, {{first, Tensor()}});
  const std::vector<double> once = to_doubles(grad_of(x));
  require_grad(x);
  const Tensor left = grouped_linear(pass.taped, x, groups, w);
  const Tensor right = grouped_linear(pass.taped, x, groups, w);
  pass.tape.backward(pass.taped, {{left, Tensor()}, {right, Tensor()}});
  const std::vector<double> twice = to_doubles(grad_of(x));
  for (size_t i = 0; i < once.size(); ++i) EXPECT_EQ(twice[i], 2 * once[i]);
}

TEST(GroupedLinear, GivesTheSameBitsWithAndWithoutTape) {
  TestPass pass;
  Parameter w = random_parameter(pass.plain, "w", {2, 17, 33}, DType::kF32, 1);
  const Tensor groups = offsets(pass.plain, {0, 4, 9});
  Tensor x = random_tensor(pass.plain, {9, 33}, DType::kF32, 2);
  const Tensor plain = grouped_linear(pass.plain, x, groups, w);
  require_grad(x);
  EXPECT_EQ(to_doubles(grouped_linear(pass.taped, x, groups, w)), to_doubles(plain));
  EXPECT_FALSE(pass.tape.empty());
}

TEST(GroupedLinear, RefusesShapesAndTypesThatDoNotFit) {
  TestPass pass;
  const Tensor x = random_tensor(pass.plain, {2, 3}, DType::kF32, 1);
  const auto message = [&](const Shape& weight, DType dtype, const Tensor& groups) -> std::string {
    Parameter w = random_parameter(pass.plain, "experts.weight", weight, dtype, 2);
    try {
      grouped_linear(pass.plain, x, groups, w);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  const Tensor two = offsets(pass.plain, {0, 1, 2});
  EXPECT_NE(message({2, 4, 5}, DType::kF32, two).find("experts.weight is [2, 4, 5]"),
            std::string::npos);
  EXPECT_NE(message({8, 3}, DType::kF32, two).find("[groups, out, in]"), std::string::npos);
  EXPECT_NE(message({2, 4, 3}, DType::kF64, two).find("is f64 but rows are f32"),
            std::string::npos);
  EXPECT_NE(message({3, 4, 3}, DType::kF32, two).find("offsets are i32 [3]"), std::string::npos);
  EXPECT_NE(message({2, 4, 3}, DType::kF32, x).find("expected i32 [groups + 1]"),
            std::string::npos);
  EXPECT_EQ(message({2, 4, 3}, DType::kF32, two), "accepted");
}

}  // namespace
}  // namespace fathom
