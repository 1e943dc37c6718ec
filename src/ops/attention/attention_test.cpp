#include "ops/attention/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/cpu.h"
#include "ops/attention/kernels.h"
#include "ops/basic/kernels.h"
#include "ops/simd_testing.h"

namespace fathom {
namespace {

using testing::check_gradients;
using testing::difference;
using testing::from_values;
using testing::random_tensor;
using testing::require_grad;
using testing::TestPass;
using testing::to_doubles;

// Products of operands rounded to bf16; the fast version needs request_amx().
KernelTable bf16_kernels(bool fast) {
  KernelTable table;
  table.attention = fast ? &amx::attention_bf16 : &reference::attention_bf16;
  table.attention_backward =
      fast ? &amx::attention_bf16_backward : &reference::attention_bf16_backward;
  return table;
}

KernelTable kernels(bool fast) {
  KernelTable table;
  table.fill_zero = &reference::fill_zero;
  table.copy = &reference::copy;
  table.accumulate = &reference::accumulate;
  table.attention = fast ? &cpu::attention : &reference::attention;
  table.attention_backward = fast ? &cpu::attention_backward : &reference::attention_backward;
  return table;
}

// Calls fn(pass) with the reference and with every fast version that this machine can run.
template <class Fn>
void with_each_version(const Fn& fn) {
  TestPass plain(kernels(false));
  fn(plain);
  testing::for_each_simd_target([&] {
    TestPass fast(kernels(true));
    fn(fast);
  });
}

using Starts = std::vector<int32_t>;

struct Case {
  const char* name;
  AttentionShape shape;
  Starts starts;
};

AttentionShape heads(int64_t heads, int64_t kv_heads, int64_t qk_dim, int64_t v_dim) {
  return {heads, kv_heads, qk_dim, v_dim, 1 / std::sqrt(static_cast<double>(qk_dim))};
}

// q, k, v of a case; column slices of one wider tensor where `sliced`.
struct Inputs {
  Tensor q, k, v;
  Inputs(Pass& pass, const Case& c, DType dtype, uint64_t seed, bool sliced = false) {
    const int64_t tokens = c.starts.back(), q_cols = c.shape.heads * c.shape.qk_dim,
                  k_cols = c.shape.kv_heads * c.shape.qk_dim,
                  v_cols = c.shape.kv_heads * c.shape.v_dim;
    if (sliced) {
      const Tensor all = random_tensor(pass, {tokens, q_cols + k_cols + v_cols + 3}, dtype, seed);
      q = all.columns(1, q_cols);
      k = all.columns(1 + q_cols, k_cols);
      v = all.columns(1 + q_cols + k_cols, v_cols);
    } else {
      q = random_tensor(pass, {tokens, q_cols}, dtype, seed);
      k = random_tensor(pass, {tokens, k_cols}, dtype, seed + 1);
      v = random_tensor(pass, {tokens, v_cols}, dtype, seed + 2);
    }
  }
};

// Changing row `from` and the rows after it, up to `to`.
void scramble(Tensor& x, int64_t from, int64_t to) {
  View view = x.write();
  for (int64_t r = from; r < to; ++r) {
    for (int64_t c = 0; c < view.cols(); ++c)
      view.row<float>(r)[c] = -3 * view.row<float>(r)[c] + 1;
  }
}

TEST(Attention, OneTokenAttendsToItselfAlone) {
  with_each_version([](TestPass& pass) {
    const Case c{"one", heads(2, 1, 4, 3), {0, 1, 2}};
    const Inputs in(pass.plain, c, DType::kF32, 1);
    const std::vector<double> out =
        to_doubles(attention(pass.plain, in.q, in.k, in.v, c.starts, c.shape));
    const std::vector<double> v = to_doubles(in.v);
    for (size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i], v[i / 6 * 3 + i % 3]);
  });
}

TEST(Attention, GradientMatchesDifferences) {
  const std::vector<Case> cases = {{"mha", heads(2, 2, 3, 3), {0, 4, 4, 9}},
                                   {"gqa", heads(4, 2, 4, 3), {0, 6, 7}},
                                   {"mqa", heads(3, 1, 2, 4), {0, 5}},
                                   {"mla", heads(2, 2, 6, 4), {0, 1, 8}}};
  for (const Case& c : cases) {
    TestPass pass(kernels(false));
    const int64_t tokens = c.starts.back();
    const auto fn = [&](Pass& p, const std::vector<Tensor>& x) {
      return attention(p, x[0], x[1], x[2], c.starts, c.shape);
    };
    EXPECT_EQ(check_gradients(fn,
                              {{tokens, c.shape.heads * c.shape.qk_dim},
                               {tokens, c.shape.kv_heads * c.shape.qk_dim},
                               {tokens, c.shape.kv_heads * c.shape.v_dim}},
                              {}, pass),
              "")
        << c.name;
  }
}

TEST(Attention, GradientsOfSeveralUsesOfOneTensorAddUp) {
  TestPass pass(kernels(false));
  const AttentionShape shape = heads(2, 2, 3, 3);
  const Starts starts = {0, 5};
  const auto fn = [&](Pass& p, const std::vector<Tensor>& x) {
    return attention(p, x[0], x[0], x[0], starts, shape);
  };
  EXPECT_EQ(check_gradients(fn, {{5, 6}}, {}, pass), "");
}

TEST(Attention, ALaterTokenNeverChangesEarlierRows) {
  with_each_version([](TestPass& pass) {
    const Case c{"causal", heads(4, 2, 24, 16), {0, 40, 83}};
    const Inputs in(pass.plain, c, DType::kF32, 5);
    const std::vector<double> before =
        to_doubles(attention(pass.plain, in.q, in.k, in.v, c.starts, c.shape));
    for (const int64_t row : {1, 17, 39, 41, 56, 82}) {
      Inputs changed(pass.plain, c, DType::kF32, 5);
      scramble(changed.q, row, 83);
      scramble(changed.k, row, 83);
      scramble(changed.v, row, 83);
      const std::vector<double> after =
          to_doubles(attention(pass.plain, changed.q, changed.k, changed.v, c.starts, c.shape));
      const size_t kept = static_cast<size_t>(row * c.shape.heads * c.shape.v_dim);
      EXPECT_TRUE(
          std::equal(before.begin(), before.begin() + static_cast<int64_t>(kept), after.begin()))
          << "row " << row;
      EXPECT_NE(before[kept], after[kept]) << "row " << row;
    }
  });
}

TEST(Attention, ASequenceAloneEqualsTheSameSequenceInABatch) {
  with_each_version([](TestPass& pass) {
    const Case c{"batch", heads(4, 2, 24, 16), {0, 13, 13, 70, 71, 104}};
    const Inputs in(pass.plain, c, DType::kF32, 9);
    const Tensor all = attention(pass.plain, in.q, in.k, in.v, c.starts, c.shape);
    for (size_t s = 0; s + 1 < c.starts.size(); ++s) {
      const int64_t begin = c.starts[s], count = c.starts[s + 1] - begin;
      const Starts alone = {0, static_cast<int32_t>(count)};
      const Tensor out =
          attention(pass.plain, in.q.rows_at(begin, count), in.k.rows_at(begin, count),
                    in.v.rows_at(begin, count), alone, c.shape);
      EXPECT_EQ(to_doubles(out), to_doubles(all.rows_at(begin, count))) << "sequence " << s;
    }
  });
}

TEST(Attention, GivesTheSameBitsWithAndWithoutTape) {
  with_each_version([](TestPass& pass) {
    const Case c{"tape", heads(2, 1, 16, 16), {0, 33}};
    Inputs in(pass.plain, c, DType::kF32, 11);
    const Tensor plain = attention(pass.plain, in.q, in.k, in.v, c.starts, c.shape);
    require_grad(in.k);
    EXPECT_EQ(to_doubles(attention(pass.taped, in.q, in.k, in.v, c.starts, c.shape)),
              to_doubles(plain));
    EXPECT_FALSE(pass.tape.empty());
  });
}

// The shapes of models, odd sizes that end inside vectors and tiles, empty and single rows.
std::vector<Case> parity_cases() {
  return {{"v3-nano", heads(4, 4, 24, 16), {0, 20, 57, 57, 58, 118}},
          {"tiny", heads(2, 2, 32, 32), {0, 150}},
          {"small across key blocks", heads(1, 1, 64, 64), {0, 300}},
          {"mla", heads(2, 2, 96, 64), {0, 70}},
          {"mla of wide values", heads(1, 1, 192, 128), {0, 45}},
          {"gqa", heads(6, 2, 16, 32), {0, 33, 80}},
          {"mqa", heads(5, 1, 20, 12), {0, 9, 40}},
          {"odd", heads(3, 3, 7, 5), {0, 1, 3, 6, 22, 131}},
          {"one column", heads(2, 1, 1, 1), {0, 19}},
          {"nothing", heads(2, 2, 8, 8), {0, 0}}};
}

// Scores are sums of qk_dim products of unit size, scaled back to unit size; their errors are
// relative errors of probabilities, and values reach about 4.
double out_tolerance(const Case& c) {
  return 4 * (testing::sum_tolerance(c.shape.qk_dim) + testing::sum_tolerance(1));
}

// Gradients add the errors of dout · value and of sums over rows (or keys) and query heads, whose
// terms are weighed by probabilities that sum to a few units over the rows that see a key.
double gradient_tolerance(const Case& c) {
  const int64_t group = c.shape.heads / c.shape.kv_heads;
  return 8 * testing::sum_tolerance(c.shape.qk_dim + c.shape.v_dim + group * c.starts.back());
}

struct Kernels {
  Tensor out, lse, dq, dk, dv;
};

// Both kernels called directly; the backward one on the reference's results where given.
Kernels run_kernels(TestPass& pass, const Case& c, const Inputs& in, const Tensor& dout,
                    const Kernels* forward) {
  Pass& p = pass.plain;
  const ConstView starts{c.starts.data(), DType::kI32, Shape{static_cast<int64_t>(c.starts.size())},
                         static_cast<int64_t>(c.starts.size())};
  Kernels got;
  got.out = p.empty(dout.shape(), DType::kF32);
  got.lse = p.empty({dout.rows(), c.shape.heads}, DType::kF32);
  got.dq = p.empty(in.q.shape(), DType::kF32);
  got.dk = p.empty(in.k.shape(), DType::kF32);
  got.dv = p.empty(in.v.shape(), DType::kF32);
  p.kernels.attention(nullptr, in.q.read(), in.k.read(), in.v.read(), starts, c.shape,
                      got.out.write(), got.lse.write());
  const Kernels& kept = forward != nullptr ? *forward : got;
  p.kernels.attention_backward(nullptr, in.q.read(), in.k.read(), in.v.read(), kept.out.read(),
                               kept.lse.read(), dout.read(), starts, c.shape, got.dq.write(),
                               got.dk.write(), got.dv.write());
  return got;
}

TEST(Attention, FastKernelsEqualTheReference) {
  TestPass plain(kernels(false));
  for (const Case& c : parity_cases()) {
    for (const bool sliced : {false, true}) {
      const Inputs in(plain.plain, c, DType::kF32, 21, sliced);
      const Tensor dout = random_tensor(
          plain.plain, {c.starts.back(), c.shape.heads * c.shape.v_dim}, DType::kF32, 29);
      const Kernels expected = run_kernels(plain, c, in, dout, nullptr);
      testing::for_each_simd_target([&] {
        SCOPED_TRACE(c.name);
        TestPass fast(kernels(true));
        const Kernels got = run_kernels(fast, c, in, dout, &expected);
        const double gradient = gradient_tolerance(c);
        EXPECT_EQ(difference(got.out, expected.out, 0, out_tolerance(c)), "");
        EXPECT_EQ(
            difference(got.lse, expected.lse, 0x1p-22, testing::sum_tolerance(c.shape.qk_dim)), "");
        EXPECT_EQ(difference(got.dq, expected.dq, 0, gradient), "") << "dq";
        EXPECT_EQ(difference(got.dk, expected.dk, 0, gradient), "") << "dk";
        EXPECT_EQ(difference(got.dv, expected.dv, 0, gradient), "") << "dv";
      });
    }
  }
}

TEST(Attention, LargeScoresNeitherOverflowNorLoseTheLargest) {
  with_each_version([](TestPass& pass) {
    const Case c{"large", heads(1, 1, 16, 16), {0, 200}};
    Inputs in(pass.plain, c, DType::kF32, 31);
    for (Tensor* x : {&in.q, &in.k}) {
      float* values = x->mutable_data<float>();
      for (int64_t i = 0; i < x->shape().elements(); ++i) values[i] *= 60;
    }
    TestPass plain(kernels(false));
    const Tensor expected = attention(plain.plain, in.q, in.k, in.v, c.starts, c.shape);
    // Scores reach thousands: a rounding of one is worth up to 2^-12, an error of that size.
    EXPECT_EQ(
        difference(attention(pass.plain, in.q, in.k, in.v, c.starts, c.shape), expected, 0, 0x1p-8),
        "");
  });
}

TEST(Attention, ABrokenKeyBreaksTheRowsThatSeeItAndNoOthers) {
  with_each_version([](TestPass& pass) {
    const Case c{"nan", heads(1, 1, 16, 16), {0, 40}};
    Inputs in(pass.plain, c, DType::kF32, 33);
    in.k.mutable_data<float>()[21 * 16 + 3] = std::numeric_limits<float>::quiet_NaN();
    const Tensor out = attention(pass.plain, in.q, in.k, in.v, c.starts, c.shape);
    for (int64_t row = 0; row < 40; ++row) {
      EXPECT_EQ(std::isnan(out.data<float>()[row * 16]), row >= 21) << row;
    }
  });
}

TEST(Attention, ASequenceOfFourThousandTokensKeepsItsAccuracy) {
  const Case c{"long", heads(1, 1, 16, 16), {0, 4096}};
  TestPass plain(kernels(false));
  const Inputs in(plain.plain, c, DType::kF32, 41);
  const Tensor expected = attention(plain.plain, in.q, in.k, in.v, c.starts, c.shape);
  testing::for_each_simd_target([&] {
    TestPass fast(kernels(true));
    const Tensor got = attention(fast.plain, in.q, in.k, in.v, c.starts, c.shape);
    EXPECT_EQ(difference(got, expected, 0, out_tolerance(c)), "");
  });
}

TEST(Attention, GradientsOfASequenceDoNotDependOnTheBatch) {
  with_each_version([](TestPass& pass) {
    const Case c{"batch", heads(4, 2, 24, 16), {0, 13, 70, 104}};
    const Inputs in(pass.plain, c, DType::kF32, 51);
    const Tensor dout = random_tensor(pass.plain, {104, 64}, DType::kF32, 52);
    const Kernels all = run_kernels(pass, c, in, dout, nullptr);
    Inputs part = in;
    part.q = in.q.rows_at(13, 57);
    part.k = in.k.rows_at(13, 57);
    part.v = in.v.rows_at(13, 57);
    const Case alone{"alone", c.shape, {0, 57}};
    const Kernels one = run_kernels(pass, alone, part, dout.rows_at(13, 57), nullptr);
    EXPECT_EQ(to_doubles(one.dq), to_doubles(all.dq.rows_at(13, 57)));
    EXPECT_EQ(to_doubles(one.dk), to_doubles(all.dk.rows_at(13, 57)));
    EXPECT_EQ(to_doubles(one.dv), to_doubles(all.dv.rows_at(13, 57)));
  });
}

TEST(Attention, ResultsDoNotDependOnTheNumberOfThreads) {
  testing::for_each_simd_target([] {
    TestPass pass(kernels(true));
    const Case c{"threads", heads(4, 2, 32, 32), {0, 200, 333}};
    const Inputs in(pass.plain, c, DType::kF32, 61);
    const Tensor dout = random_tensor(pass.plain, {333, 128}, DType::kF32, 62);
    const auto [one, two] =
        testing::with_one_and_two_threads([&] { return run_kernels(pass, c, in, dout, nullptr); });
    EXPECT_EQ(to_doubles(one.out), to_doubles(two.out));
    EXPECT_EQ(to_doubles(one.dq), to_doubles(two.dq));
    EXPECT_EQ(to_doubles(one.dk), to_doubles(two.dk));
    EXPECT_EQ(to_doubles(one.dv), to_doubles(two.dv));
  });
}

// The presets tiny and small, latent attention, grouped queries, odd sizes; lengths around those of
// strips, blocks of keys and chunks of queries, down to the least that tiles take.
std::vector<Case> bf16_cases() {
  return {{"tiny", heads(3, 3, 32, 32), {0, 256, 256, 320}},
          {"small", heads(1, 1, 64, 64), {0, 400}},
          {"mla", heads(2, 2, 96, 64), {0, 130}},
          {"v3-nano", heads(4, 4, 48, 32), {0, 65, 128, 257}},
          {"narrow mla", heads(4, 4, 24, 16), {0, kBf16LeastRows, 120}},
          {"mla of wide values", heads(1, 1, 192, 128), {0, 160}},
          {"gqa", heads(6, 2, 16, 32), {0, 57, 186}},
          {"mqa across chunks", heads(2, 1, 20, 12), {0, 600}},
          {"odd", heads(1, 1, 7, 5), {0, 63, 127, 258, 771}},
          {"one column", heads(2, 1, 1, 1), {0, 81}},
          {"nothing", heads(2, 2, 8, 8), {0, 0}}};
}

Tensor output_gradient(Pass& pass, const Case& c) {
  return random_tensor(pass, {c.starts.back(), c.shape.heads * c.shape.v_dim}, DType::kF32, 71);
}

TEST(AttentionBf16, OnTilesEqualsTheReferenceBitForBit) {
  if (!request_amx()) GTEST_SKIP() << "this machine has no AMX tiles";
  TestPass plain(bf16_kernels(false)), fast(bf16_kernels(true));
  for (const Case& c : bf16_cases()) {
    for (const bool sliced : {false, true}) {
      SCOPED_TRACE(c.name);
      const Inputs in(plain.plain, c, DType::kF32, 73, sliced);
      const Tensor dout = output_gradient(plain.plain, c);
      const Kernels expected = run_kernels(plain, c, in, dout, nullptr);
      const Kernels got = run_kernels(fast, c, in, dout, &expected);
      EXPECT_TRUE(testing::identical(got.out, expected.out));
      EXPECT_EQ(difference(got.lse, expected.lse, 0x1p-22, 0x1p-22), "");
      EXPECT_TRUE(testing::identical(got.dq, expected.dq));
      EXPECT_TRUE(testing::identical(got.dk, expected.dk));
      EXPECT_TRUE(testing::identical(got.dv, expected.dv));
    }
  }
}

// Rounding moves an operand by up to 2^-9 of itself. A score is a sum of unit size whose terms move
// independently, by about 2^-9 from q and from k; so a probability moves by a few 2^-9 of itself,
// and numerators and values by 2^-9 more. Values, of which the output is a mean, reach about 4.
TEST(AttentionBf16, StaysNearF32) {
  TestPass exact(kernels(false)), rounded(bf16_kernels(false));
  for (const Case& c : bf16_cases()) {
    SCOPED_TRACE(c.name);
    const Inputs in(exact.plain, c, DType::kF32, 75);
    const Tensor dout = output_gradient(exact.plain, c);
    const Kernels expected = run_kernels(exact, c, in, dout, nullptr);
    const Kernels got = run_kernels(rounded, c, in, dout, nullptr);
    EXPECT_EQ(difference(got.out, expected.out, 0, 4 * 3 * 0x1p-8), "");
    EXPECT_EQ(difference(got.lse, expected.lse, 0, 3 * 0x1p-8), "");
    // Sums over the rows that see a key, and over the heads of a group, of terms that move so.
    const double gradient =
        4 * 4 * 0x1p-8 * std::sqrt(static_cast<double>(c.shape.heads / c.shape.kv_heads));
    EXPECT_EQ(difference(got.dq, expected.dq, 0, gradient), "") << "dq";
    EXPECT_EQ(difference(got.dk, expected.dk, 0, gradient), "") << "dk";
    EXPECT_EQ(difference(got.dv, expected.dv, 0, gradient), "") << "dv";
  }
}

// Long sequences, which tiles take, between short ones, which they do not.
TEST(AttentionBf16, ASequenceAloneEqualsTheSameSequenceInABatch) {
  if (!request_amx()) GTEST_SKIP() << "this machine has no AMX tiles";
  TestPass pass(bf16_kernels(true));
  const Case c{"batch", heads(4, 2, 24, 16), {0, 13, 13, 170, 171, 204, 300, 340}};
  const Inputs in(pass.plain, c, DType::kF32, 77);
  const Tensor dout = output_gradient(pass.plain, c);
  const Kernels all = run_kernels(pass, c, in, dout, nullptr);
  for (size_t s = 0; s + 1 < c.starts.size(); ++s) {
    SCOPED_TRACE(s);
    const int64_t begin = c.starts[s], count = c.starts[s + 1] - begin;
    Inputs part = in;
    for (Tensor* x : {&part.q, &part.k, &part.v}) *x = x->rows_at(begin, count);
    const Case alone{"alone", c.shape, {0, static_cast<int32_t>(count)}};
    const Kernels one = run_kernels(pass, alone, part, dout.rows_at(begin, count), nullptr);
    EXPECT_TRUE(testing::identical(one.out, all.out.rows_at(begin, count)));
    EXPECT_TRUE(testing::identical(one.lse, all.lse.rows_at(begin, count)));
    EXPECT_TRUE(testing::identical(one.dq, all.dq.rows_at(begin, count)));
    EXPECT_TRUE(testing::identical(one.dk, all.dk.rows_at(begin, count)));
    EXPECT_TRUE(testing::identical(one.dv, all.dv.rows_at(begin, count)));
  }
}

TEST(AttentionBf16, ShortSequencesAreNotRounded) {
  if (!request_amx()) GTEST_SKIP() << "this machine has no AMX tiles";
  TestPass exact(kernels(true)), fast(bf16_kernels(true));
  const Case c{"short", heads(4, 2, 24, 16), {0, 1, 41, 41, kBf16LeastRows + 40}};
  const Inputs in(exact.plain, c, DType::kF32, 79);
  const Tensor dout = output_gradient(exact.plain, c);
  const Kernels expected = run_kernels(exact, c, in, dout, nullptr);
  const Kernels got = run_kernels(fast, c, in, dout, nullptr);
  EXPECT_TRUE(testing::identical(got.out, expected.out));
  EXPECT_TRUE(testing::identical(got.dq, expected.dq));
  EXPECT_TRUE(testing::identical(got.dk, expected.dk));
  EXPECT_TRUE(testing::identical(got.dv, expected.dv));
}

TEST(AttentionBf16, ALaterTokenNeverChangesEarlierRows) {
  if (!request_amx()) GTEST_SKIP() << "this machine has no AMX tiles";
  TestPass pass(bf16_kernels(true));
  const Case c{"causal", heads(2, 1, 24, 16), {0, 150}};
  const Inputs in(pass.plain, c, DType::kF32, 81);
  const Tensor before = attention(pass.plain, in.q, in.k, in.v, c.starts, c.shape);
  for (const int64_t row : {1, 15, 16, 31, 32, 77, 128, 149}) {
    Inputs changed(pass.plain, c, DType::kF32, 81);
    for (Tensor* x : {&changed.q, &changed.k, &changed.v}) scramble(*x, row, 150);
    const Tensor after = attention(pass.plain, changed.q, changed.k, changed.v, c.starts, c.shape);
    EXPECT_TRUE(testing::identical(after.rows_at(0, row), before.rows_at(0, row))) << row;
    EXPECT_FALSE(testing::identical(after.rows_at(row, 1), before.rows_at(row, 1))) << row;
  }
}

TEST(AttentionBf16, ResultsDoNotDependOnTheNumberOfThreads) {
  if (!request_amx()) GTEST_SKIP() << "this machine has no AMX tiles";
  TestPass pass(bf16_kernels(true));
  const Case c{"threads", heads(4, 2, 32, 32), {0, 200, 533}};
  const Inputs in(pass.plain, c, DType::kF32, 83);
  const Tensor dout = output_gradient(pass.plain, c);
  const auto [one, two] =
      testing::with_one_and_two_threads([&] { return run_kernels(pass, c, in, dout, nullptr); });
  EXPECT_TRUE(testing::identical(one.out, two.out));
  EXPECT_TRUE(testing::identical(one.dq, two.dq));
  EXPECT_TRUE(testing::identical(one.dk, two.dk));
  EXPECT_TRUE(testing::identical(one.dv, two.dv));
}

TEST(AttentionBf16, ABrokenKeyBreaksTheRowsThatSeeItAndNoOthers) {
  if (!request_amx()) GTEST_SKIP() << "this machine has no AMX tiles";
  TestPass pass(bf16_kernels(true));
  const Case c{"nan", heads(1, 1, 16, 16), {0, 200}};
  Inputs in(pass.plain, c, DType::kF32, 85);
  in.k.mutable_data<float>()[141 * 16 + 3] = std::numeric_limits<float>::quiet_NaN();
  const Tensor out = attention(pass.plain, in.q, in.k, in.v, c.starts, c.shape);
  for (int64_t row = 0; row < 200; ++row) {
    EXPECT_EQ(std::isnan(out.data<float>()[row * 16]), row >= 141) << row;
  }
}

// Scores of thousands: one score takes all, so that rows are values rounded to bf16.
TEST(AttentionBf16, LargeScoresDoNotOverflow) {
  if (!request_amx()) GTEST_SKIP() << "this machine has no AMX tiles";
  TestPass plain(bf16_kernels(false)), fast(bf16_kernels(true));
  const Case c{"large", heads(1, 1, 16, 16), {0, 200}};
  Inputs in(plain.plain, c, DType::kF32, 87);
  for (Tensor* x : {&in.q, &in.k}) {
    float* values = x->mutable_data<float>();
    for (int64_t i = 0; i < x->shape().elements(); ++i) values[i] *= 60;
  }
  const Tensor got = attention(fast.plain, in.q, in.k, in.v, c.starts, c.shape);
  EXPECT_TRUE(testing::identical(got, attention(plain.plain, in.q, in.k, in.v, c.starts, c.shape)));
  for (const double value : to_doubles(got)) EXPECT_LT(std::abs(value), 8);
}

TEST(AttentionBf16, DoublesAreNotRounded) {
  TestPass exact(kernels(false));
  const Case c{"doubles", heads(2, 1, 8, 8), {0, 60}};
  const Inputs in(exact.plain, c, DType::kF64, 89);
  const Tensor expected = attention(exact.plain, in.q, in.k, in.v, c.starts, c.shape);
  for (const bool fast : {false, true}) {
    TestPass pass(bf16_kernels(fast));
    EXPECT_TRUE(
        testing::identical(attention(pass.plain, in.q, in.k, in.v, c.starts, c.shape), expected));
  }
}

TEST(Attention, RefusesStartsThatDoNotCoverTheRows) {
  TestPass pass(kernels(false));
  const Case c{"refused", heads(2, 1, 4, 3), {0, 5}};
  const Inputs in(pass.plain, c, DType::kF32, 13);
  const auto message = [&](const Starts& starts, const AttentionShape& shape) -> std::string {
    try {
      attention(pass.plain, in.q, in.k, in.v, starts, shape);
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_NE(message({0, 4}, c.shape).find("5 rows"), std::string::npos);
  EXPECT_NE(message({0, 3, 2, 5}, c.shape).find("ascend"), std::string::npos);
  EXPECT_NE(message({}, c.shape).find("ascend"), std::string::npos);
  EXPECT_NE(message({0, 5}, heads(3, 2, 4, 3)).find("num_key_value_heads"), std::string::npos);
  AttentionShape unscaled = c.shape;
  unscaled.scale = 0;
  EXPECT_NE(message({0, 5}, unscaled).find("positive scale"), std::string::npos);
  EXPECT_NE(message({0, 5}, heads(2, 1, 5, 3)).find("q is [5, 8]"), std::string::npos);
  EXPECT_NE(message({0, 5}, heads(2, 1, 4, 2)).find("v is [5, 3]"), std::string::npos);
}

}  // namespace
}  // namespace fathom
