#include "ops/operand.h"

#include <gtest/gtest.h>

#include "base/cpu.h"
#include "ops/expert_rows/expert_rows.h"
#include "ops/expert_rows/kernels.h"
#include "ops/linear_objective/kernels.h"
#include "ops/matmul/kernels.h"
#include "ops/rms_norm/kernels.h"
#include "ops/simd_testing.h"
#include "ops/swiglu/kernels.h"
#include "ops/swiglu/swiglu.h"

namespace fathom {
namespace {

using testing::from_values;
using testing::random_slice;
using testing::random_tensor;
using testing::TestPass;

// x rounded to bf16.
Tensor rounded(Pass& pass, const Tensor& x) {
  Tensor y = pass.empty(x.shape(), DType::kBF16);
  const ConstView from = x.read();
  const View to = y.write();
  for (int64_t r = 0; r < x.rows(); ++r) {
    for (int64_t c = 0; c < x.cols(); ++c)
      to.row<uint16_t>(r)[c] = f32_to_bf16(from.row<float>(r)[c]);
  }
  return y;
}

// The first place at which two bf16 matrices differ, or "".
std::string bf16_difference(ConstView a, ConstView b) {
  for (int64_t r = 0; r < a.rows(); ++r) {
    for (int64_t c = 0; c < a.cols(); ++c) {
      const uint16_t x = a.row<uint16_t>(r)[c], y = b.row<uint16_t>(r)[c];
      if (x != y) return concat("row ", r, " column ", c, ": ", x, " is not ", y);
    }
  }
  return "";
}

// A kernel with one result that may be an operand: called with an f32 and with a bf16 result.
void expect_rounded_result(Pass& pass, const char* kernel, const Shape& shape,
                           const std::function<void(View)>& run) {
  Tensor exact = pass.empty(shape, DType::kF32), operand = pass.empty(shape, DType::kBF16);
  run(exact.write());
  run(operand.write());
  EXPECT_EQ(bf16_difference(operand.read(), rounded(pass, exact).read()), "") << kernel;
}

// The kernels of `table` for these row counts and widths.
void expect_rounded_results(const KernelTable& table, int64_t rows, int64_t width) {
  TestPass test;
  Pass& pass = test.plain;
  const Tensor x = random_slice(pass, rows, 2 * width, DType::kF32, 1);
  const Tensor dy = random_tensor(pass, {rows, width}, DType::kF32, 2);
  const Tensor w = random_tensor(pass, {width}, DType::kF32, 3);
  expect_rounded_result(pass, "swiglu", {rows, width},
                        [&](View y) { table.swiglu(nullptr, x.read(), y); });
  expect_rounded_result(pass, "swiglu_backward", {rows, 2 * width},
                        [&](View dx) { table.swiglu_backward(nullptr, x.read(), dy.read(), dx); });
  Tensor inv_rms = pass.empty({rows}, DType::kF32);
  expect_rounded_result(pass, "rms_norm", {rows, width}, [&](View y) {
    table.rms_norm(nullptr, dy.read(), w.read(), 1e-6f, y, inv_rms.write());
  });

  constexpr int64_t kExperts = 2;  // each row goes to two slots: 2t and 2t + 1
  std::vector<double> slots;
  for (int64_t i = 0; i < kExperts * rows; ++i) slots.push_back(static_cast<double>(i));
  const Tensor place = from_values(pass, {kExperts * rows}, DType::kI32, slots);
  const Tensor weight = random_tensor(pass, {rows, kExperts}, DType::kF32, 4);
  const Tensor outputs = random_tensor(pass, {kExperts * rows, width}, DType::kF32, 5);
  Tensor dweight = pass.empty({rows, kExperts}, DType::kF32);
  expect_rounded_result(pass, "expert_gather", {kExperts * rows, width}, [&](View y) {
    table.expert_gather(nullptr, dy.read(), place.read(), kExperts, y);
  });
  expect_rounded_result(pass, "expert_combine_backward", {kExperts * rows, width}, [&](View y) {
    table.expert_combine_backward(nullptr, outputs.read(), place.read(), weight.read(), dy.read(),
                                  y, dweight.write());
  });

  const Tensor target =
      from_values(pass, {rows}, DType::kI32, std::vector<double>(static_cast<size_t>(rows), 0));
  const Tensor coefficient = random_tensor(pass, {rows}, DType::kF64, 6);
  Tensor logprob = pass.empty({rows}, DType::kF64), lse = pass.empty({rows}, DType::kF64);
  table.target_logprob(nullptr, dy.read(), target.read(), logprob.write(), lse.write());
  expect_rounded_result(pass, "target_logprob_backward", {rows, width}, [&](View y) {
    table.target_logprob_backward(nullptr, dy.read(), target.read(), lse.read(), coefficient.read(),
                                  y);
  });
}

KernelTable fast_kernels() {
  KernelTable table = reference_kernels();
  table.swiglu = &cpu::swiglu;
  table.swiglu_backward = &cpu::swiglu_backward;
  table.rms_norm = &cpu::rms_norm;
  table.expert_gather = &cpu::expert_gather;
  table.expert_combine_backward = &cpu::expert_combine_backward;
  table.target_logprob = &cpu::target_logprob;
  table.target_logprob_backward = &cpu::target_logprob_backward;
  return table;
}

constexpr std::pair<int64_t, int64_t> kSizes[] = {{1, 1}, {3, 5}, {7, 16}, {5, 61}, {300, 97}};

TEST(Operands, AreTheResultsOfTheReferencesRounded) {
  for (const auto& [rows, width] : kSizes) expect_rounded_results(reference_kernels(), rows, width);
}

TEST(Operands, AreTheResultsOfTheFastKernelsRounded) {
  testing::for_each_simd_target([] {
    for (const auto& [rows, width] : kSizes) expect_rounded_results(fast_kernels(), rows, width);
  });
}

TEST(Operands, TakeTheFirstHalfOfEachRowThatTheyReplace) {
  testing::for_each_simd_target([] {
    for (const KernelTable& kernels : {reference_kernels(), fast_kernels()}) {
      TestPass test(kernels);
      Pass& pass = test.plain;
      test.kernels.operand_dtype = DType::kBF16;
      constexpr int64_t kRows = 9, kVocab = 77;
      Tensor logits = random_tensor(pass, {kRows, kVocab}, DType::kF32, 1, 3);
      const Tensor target =
          from_values(pass, {kRows}, DType::kI32, {0, 1, 2, 30, 31, 32, 33, 75, 76});
      const Tensor coefficient = random_tensor(pass, {kRows}, DType::kF64, 2);
      Tensor logprob = pass.empty({kRows}, DType::kF64), lse = pass.empty({kRows}, DType::kF64);
      kernels.target_logprob(nullptr, logits.read(), target.read(), logprob.write(), lse.write());
      Tensor apart = pass.empty({kRows, kVocab}, DType::kBF16);
      const auto backward = [&](View dlogits) {
        kernels.target_logprob_backward(nullptr, logits.read(), target.read(), lse.read(),
                                        coefficient.read(), dlogits);
      };
      backward(apart.write());
      const View over = as_operand(pass, logits.write());
      ASSERT_EQ(over.dtype, DType::kBF16);
      ASSERT_EQ(over.row_stride, 2 * kVocab);
      backward(over);
      EXPECT_EQ(bf16_difference(over, apart.read()), "");
    }
  });
}

// An operand of a product on tiles gives the bits that its f32 values give.
TEST(Operands, AreRoundedAlreadyForProductsOnTiles) {
  if (!request_amx()) GTEST_SKIP() << "this machine has no AMX tiles";
  using testing::identical;
  const auto expect_same = [](const char* form, Pass& pass, const Shape& c, const Tensor& a,
                              const Tensor& b, const auto& product) {
    Tensor exact = pass.empty(c, DType::kF32), operand = pass.empty(c, DType::kF32);
    product(a.read(), b.read(), exact.write());
    product(rounded(pass, a).read(), b.read(), operand.write());
    EXPECT_TRUE(identical(operand, exact)) << form << " " << c;
  };
  for (const auto& [m, n, k] : {std::tuple<int64_t, int64_t, int64_t>{1, 1, 1},
                                {33, 40, 50},
                                {70, 600, 31},
                                {100, 64, 1100},
                                {5, 17, 96}}) {
    TestPass test;
    Pass& pass = test.plain;
    const Tensor a = random_slice(pass, m, k, DType::kF32, 1);
    const Tensor down = random_slice(pass, k, m, DType::kF32, 2);
    const Tensor nt = random_tensor(pass, {n, k}, DType::kF32, 3);
    const Tensor nn = random_tensor(pass, {k, n}, DType::kF32, 4);
    expect_same("nt", pass, {m, n}, a, nt, [](ConstView x, ConstView y, View c) {
      amx::matmul_bf16_nt(nullptr, x, y, c, false);
    });
    expect_same("nn", pass, {m, n}, a, nn, [](ConstView x, ConstView y, View c) {
      amx::matmul_bf16_nn(nullptr, x, y, c, false);
    });
    expect_same("tn, a", pass, {m, n}, down, nn, [](ConstView x, ConstView y, View c) {
      amx::matmul_bf16_tn(nullptr, x, y, c, false);
    });
    expect_same("tn, b", pass, {n, m}, down, nn, [](ConstView x, ConstView y, View c) {
      amx::matmul_bf16_tn(nullptr, y, x, c, false);
    });
  }
}

TEST(Operands, RoundedForAProductHaveNoSecondReader) {
  TestPass test;
  test.kernels.operand_dtype = DType::kBF16;
  Tensor gate_up = random_tensor(test.plain, {2, 6}, DType::kF32, 1);
  testing::require_grad(gate_up);
  const Tensor y = swiglu(test.taped, gate_up), again = swiglu(test.taped, gate_up);
  const Tensor dy = random_tensor(test.plain, {2, 3}, DType::kF32, 2);
  try {
    test.tape.backward(test.taped, {{y, dy}, {again, dy}});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("no other op may read"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace fathom
