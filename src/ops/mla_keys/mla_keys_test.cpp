#include "ops/mla_keys/mla_keys.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ops/basic/kernels.h"
#include "ops/mla_keys/kernels.h"
#include "ops/simd_testing.h"

namespace fathom {
namespace {

using testing::check_gradients;
using testing::from_values;
using testing::random_tensor;
using testing::require_grad;
using testing::TestPass;
using testing::to_doubles;

KernelTable kernels(bool fast) {
  KernelTable table;
  table.fill_zero = &reference::fill_zero;
  table.copy = &reference::copy;
  table.accumulate = &reference::accumulate;
  table.mla_keys = fast ? &cpu::mla_keys : &reference::mla_keys;
  table.mla_keys_backward = fast ? &cpu::mla_keys_backward : &reference::mla_keys_backward;
  return table;
}

TEST(MlaKeys, GivesEachHeadItsKeyPartAndTheSharedRotaryKey) {
  TestPass pass(kernels(false));
  const Tensor kv = from_values(pass.plain, {1, 6}, DType::kF32, {1, 2, 3, 4, 5, 6});
  const Tensor k_rope = from_values(pass.plain, {1, 2}, DType::kF32, {8, 9});
  const MlaKeys out = mla_keys(pass.plain, kv, k_rope, 2, 1, 2);
  EXPECT_EQ(to_doubles(out.k), (std::vector<double>{1, 8, 9, 4, 8, 9}));
  EXPECT_EQ(to_doubles(out.v), (std::vector<double>{2, 3, 5, 6}));
}

TEST(MlaKeys, GradientMatchesDifferencesForKeysForValuesAndForBoth) {
  TestPass pass(kernels(false));
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
  TestPass pass(kernels(false));
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

TEST(MlaKeys, FastKernelsEqualTheReference) {
  const MlaWidths cases[] = {
      {4, 16, 8, 16}, {6, 64, 32, 64}, {3, 5, 3, 7}, {1, 0, 2, 1}, {128, 4, 17, 4}};
  TestPass pass(kernels(false));
  const auto slice = [&](int64_t rows, int64_t cols, uint64_t seed) {
    return testing::random_slice(pass.plain, rows, cols, DType::kF32, seed);
  };
  for (const MlaWidths& w : cases) {
    for (const int64_t tokens : {0, 1, 300}) {
      const Tensor kv = slice(tokens, w.heads * (w.nope + w.value), 1),
                   k_rope = slice(tokens, w.rope, 2);
      const Tensor dk = slice(tokens, w.heads * (w.nope + w.rope), 3),
                   dv = slice(tokens, w.heads * w.value, 4);
      testing::for_each_simd_target([&] {
        Tensor results[2][4];
        for (const bool fast : {false, true}) {
          Tensor* r = results[fast ? 1 : 0];
          r[0] = pass.plain.empty(dk.shape(), DType::kF32);
          r[1] = pass.plain.empty(dv.shape(), DType::kF32);
          r[2] = pass.plain.empty(kv.shape(), DType::kF32);
          r[3] = pass.plain.empty(k_rope.shape(), DType::kF32);
          const KernelTable table = kernels(fast);
          table.mla_keys(nullptr, kv.read(), k_rope.read(), w.heads, r[0].write(), r[1].write());
          table.mla_keys_backward(nullptr, dk.read(), dv.read(), w.heads, r[2].write(),
                                  r[3].write());
        }
        for (int i = 0; i < 3; ++i)
          EXPECT_TRUE(testing::identical(results[1][i], results[0][i])) << i;
        EXPECT_EQ(testing::difference(results[1][3], results[0][3], 0,
                                      4 * std::sqrt(static_cast<double>(w.heads)) *
                                          testing::sum_tolerance(w.heads)),
                  "");
      });
    }
  }
}

TEST(MlaKeys, RefusesAWidthThatIsNotHeadsTimesParts) {
  TestPass pass(kernels(false));
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
