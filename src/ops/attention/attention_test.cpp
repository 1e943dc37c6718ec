#include "ops/attention/attention.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>

#include "ops/attention/kernels.h"
#include "ops/basic/kernels.h"
#include "ops/testing.h"

namespace fathom {
namespace {

using testing::check_gradients;
using testing::difference;
using testing::from_values;
using testing::random_tensor;
using testing::require_grad;
using testing::TestPass;
using testing::to_doubles;

struct NamedKernels {
  const char* name;
  KernelTable table;
};

KernelTable plain_kernels() {
  KernelTable table;
  table.fill_zero = &reference::fill_zero;
  table.copy = &reference::copy;
  table.accumulate = &reference::accumulate;
  table.attention = &reference::attention;
  table.attention_backward = &reference::attention_backward;
  return table;
}

// Every version that this machine can run, the reference first.
std::vector<NamedKernels> versions() { return {{"reference", plain_kernels()}}; }

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
  for (const NamedKernels& version : versions()) {
    TestPass pass(version.table);
    const Case c{"one", heads(2, 1, 4, 3), {0, 1, 2}};
    const Inputs in(pass.plain, c, DType::kF32, 1);
    const std::vector<double> out =
        to_doubles(attention(pass.plain, in.q, in.k, in.v, c.starts, c.shape));
    const std::vector<double> v = to_doubles(in.v);
    for (size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i], v[i / 6 * 3 + i % 3]) << version.name;
  }
}

TEST(Attention, GradientMatchesDifferences) {
  const std::vector<Case> cases = {{"mha", heads(2, 2, 3, 3), {0, 4, 4, 9}},
                                   {"gqa", heads(4, 2, 4, 3), {0, 6, 7}},
                                   {"mqa", heads(3, 1, 2, 4), {0, 5}},
                                   {"mla", heads(2, 2, 6, 4), {0, 1, 8}}};
  for (const Case& c : cases) {
    TestPass pass(plain_kernels());
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
  TestPass pass(plain_kernels());
  const AttentionShape shape = heads(2, 2, 3, 3);
  const Starts starts = {0, 5};
  const auto fn = [&](Pass& p, const std::vector<Tensor>& x) {
    return attention(p, x[0], x[0], x[0], starts, shape);
  };
  EXPECT_EQ(check_gradients(fn, {{5, 6}}, {}, pass), "");
}

TEST(Attention, ALaterTokenNeverChangesEarlierRows) {
  for (const NamedKernels& version : versions()) {
    TestPass pass(version.table);
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
          << version.name << ", row " << row;
      EXPECT_NE(before[kept], after[kept]) << version.name << ", row " << row;
    }
  }
}

TEST(Attention, ASequenceAloneEqualsTheSameSequenceInABatch) {
  for (const NamedKernels& version : versions()) {
    TestPass pass(version.table);
    const Case c{"batch", heads(4, 2, 24, 16), {0, 13, 13, 70, 71, 104}};
    const Inputs in(pass.plain, c, DType::kF32, 9);
    const Tensor all = attention(pass.plain, in.q, in.k, in.v, c.starts, c.shape);
    for (size_t s = 0; s + 1 < c.starts.size(); ++s) {
      const int64_t begin = c.starts[s], count = c.starts[s + 1] - begin;
      const Starts alone = {0, static_cast<int32_t>(count)};
      const Tensor out =
          attention(pass.plain, in.q.rows_at(begin, count), in.k.rows_at(begin, count),
                    in.v.rows_at(begin, count), alone, c.shape);
      EXPECT_EQ(to_doubles(out), to_doubles(all.rows_at(begin, count)))
          << version.name << ", sequence " << s;
    }
  }
}

TEST(Attention, GivesTheSameBitsWithAndWithoutTape) {
  for (const NamedKernels& version : versions()) {
    TestPass pass(version.table);
    const Case c{"tape", heads(2, 1, 16, 16), {0, 33}};
    Inputs in(pass.plain, c, DType::kF32, 11);
    const Tensor plain = attention(pass.plain, in.q, in.k, in.v, c.starts, c.shape);
    require_grad(in.k);
    EXPECT_EQ(to_doubles(attention(pass.taped, in.q, in.k, in.v, c.starts, c.shape)),
              to_doubles(plain));
    EXPECT_FALSE(pass.tape.empty()) << version.name;
  }
}

TEST(Attention, RefusesStartsThatDoNotCoverTheRows) {
  TestPass pass(plain_kernels());
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
  EXPECT_NE(message({0, 5}, heads(2, 1, 5, 3)).find("q is [5, 8]"), std::string::npos);
  EXPECT_NE(message({0, 5}, heads(2, 1, 4, 2)).find("v is [5, 3]"), std::string::npos);
}

}  // namespace
}  // namespace fathom
