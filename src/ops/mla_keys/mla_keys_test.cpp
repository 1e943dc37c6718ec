#include "ops/mla_keys/mla_keys.h"

#include <gtest/gtest.h>

#include "ops/basic/kernels.h"
#include "ops/mla_keys/kernels.h"
#include "ops/testing.h"

namespace fathom {
namespace {

using testing::check_gradients;
using testing::from_values;
using testing::random_tensor;
using testing::require_grad;
using testing::TestPass;
using testing::to_doubles;

KernelTable plain_kernels() {
  KernelTable table;
  table.fill_zero = &reference::fill_zero;
  table.copy = &reference::copy;
  table.accumulate = &reference::accumulate;
  table.mla_keys = &reference::mla_keys;
  table.mla_keys_backward = &reference::mla_keys_backward;
  return table;
}

TEST(MlaKeys, GivesEachHeadItsKeyPartAndTheSharedRotaryKey) {
  TestPass pass(plain_kernels());
  const Tensor kv = from_values(pass.plain, {1, 6}, DType::kF32, {1, 2, 3, 4, 5, 6});
  const Tensor k_rope = from_values(pass.plain, {1, 2}, DType::kF32, {8, 9});
  const MlaKeys out = mla_keys(pass.plain, kv, k_rope, 2, 1, 2);
  EXPECT_EQ(to_doubles(out.k), (std::vector<double>{1, 8, 9, 4, 8, 9}));
  EXPECT_EQ(to_doubles(out.v), (std::vector<double>{2, 3, 5, 6}));
}

TEST(MlaKeys, GradientMatchesDifferencesForKeysForValuesAndForBoth) {
  TestPass pass(plain_kernels());
  const auto keys = [](Pass& p, const std::vector<Tensor>& x) {
    return mla_keys(p, x[0], x[1], 3, 2, 4).k;
  };
  const auto values = [](Pass& p, const std::vector<Tensor>& x) {
    return mla_keys(p, x[0], x[1], 3, 2, 4).v;
  };
  EXPECT_EQ(check_gradients(keys, {{5, 18}, {5, 2}}, {}, pass), "");
  EXPECT_EQ(check_gradients(values, {{5, 18}, {5, 2}}, {}, pass), "");
}

TEST(MlaKeys, JoinsTheGradientsOfBothOutputs) {
  TestPass pass(plain_kernels());
  Tensor kv = random_tensor(pass.plain, {2, 6}, DType::kF64, 1);
  Tensor k_rope = random_tensor(pass.plain, {2, 1}, DType::kF64, 2);
  require_grad(kv);
  require_grad(k_rope);
  const MlaKeys out = mla_keys(pass.taped, kv, k_rope, 2, 1, 2);
  const Tensor dk = from_values(pass.plain, {2, 4}, DType::kF64, {1, 2, 3, 4, 5, 6, 7, 8});
  const Tensor dv = from_values(pass.plain, {2, 4}, DType::kF64, {10, 20, 30, 40, 50, 60, 70, 80});
  pass.tape.backward(pass.taped, {{out.k, dk}, {out.v, dv}});
  EXPECT_EQ(to_doubles(testing::grad_of(kv)),
            (std::vector<double>{1, 10, 20, 3, 30, 40, 5, 50, 60, 7, 70, 80}));
  EXPECT_EQ(to_doubles(testing::grad_of(k_rope)), (std::vector<double>{6, 14}));
}

TEST(MlaKeys, RefusesAWidthThatIsNotHeadsTimesParts) {
  TestPass pass(plain_kernels());
  const Tensor kv = random_tensor(pass.plain, {2, 7}, DType::kF32, 1);
  const Tensor k_rope = random_tensor(pass.plain, {2, 1}, DType::kF32, 2);
  try {
    mla_keys(pass.plain, kv, k_rope, 2, 1, 2);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("[2, 7]"), std::string::npos) << error.what();
  }
  EXPECT_THROW(
      mla_keys(pass.plain, random_tensor(pass.plain, {3, 6}, DType::kF32, 3), k_rope, 2, 1, 2),
      Error);
}

}  // namespace
}  // namespace fathom
