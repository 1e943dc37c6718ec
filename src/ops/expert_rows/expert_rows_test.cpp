#include "ops/expert_rows/expert_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "ops/expert_rows/kernels.h"
#include "ops/simd_testing.h"
#include "runtime/tape.h"

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
  table.expert_gather = &cpu::expert_gather;
  table.expert_gather_backward = &cpu::expert_gather_backward;
  table.expert_combine = &cpu::expert_combine;
  table.expert_combine_backward = &cpu::expert_combine_backward;
  return table;
}

// Random choices of k distinct experts; the last two experts get no token where there are more than
// k + 2.
Tensor random_choice(Pass& pass, int64_t tokens, int64_t k, int64_t experts) {
  const int64_t used = experts > k + 2 ? experts - 2 : experts;
  std::vector<double> picks;
  const RandomKey key{5};
  for (int64_t t = 0; t < tokens; ++t) {
    std::vector<double> ids(static_cast<size_t>(used));
    std::iota(ids.begin(), ids.end(), 0);
    for (int64_t i = 0; i < k; ++i) {
      const auto left = static_cast<uint64_t>(used - i);
      const auto at = static_cast<size_t>(key.below(static_cast<uint64_t>(t * k + i), left));
      picks.push_back(ids[at]);
      ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }
  return from_values(pass, {tokens, k}, DType::kI32, picks);
}

TEST(ExpertRows, OrdersSlotsByExpertThenToken) {
  TestPass pass;
  const Tensor expert = from_values(pass.plain, {3, 2}, DType::kI32, {3, 0, 0, 3, 1, 0});
  const ExpertOrder order = order_by_expert(pass.plain, expert, 5);
  EXPECT_EQ(to_doubles(order.offsets), (std::vector<double>{0, 3, 4, 4, 6, 6}));
  EXPECT_EQ(to_doubles(order.order), (std::vector<double>{1, 2, 5, 4, 0, 3}));
  EXPECT_EQ(to_doubles(order.place), (std::vector<double>{4, 0, 1, 5, 3, 2}));
}

TEST(ExpertRows, OrderIsStableAndPlaceIsItsInverse) {
  TestPass pass;
  for (const auto& [tokens, k, experts] :
       {std::tuple<int64_t, int64_t, int64_t>{0, 2, 4}, {1, 1, 1}, {37, 3, 9}, {200, 6, 64}}) {
    const Tensor expert = random_choice(pass.plain, tokens, k, experts);
    const ExpertOrder order = order_by_expert(pass.plain, expert, experts);
    const std::vector<double> ids = to_doubles(expert), offsets = to_doubles(order.offsets);
    const std::vector<double> slots = to_doubles(order.order), places = to_doubles(order.place);
    ASSERT_EQ(static_cast<int64_t>(offsets.size()), experts + 1);
    EXPECT_EQ(offsets.front(), 0);
    EXPECT_EQ(offsets.back(), static_cast<double>(tokens * k));
    for (size_t j = 0; j < slots.size(); ++j) {
      const auto slot = static_cast<size_t>(slots[j]);
      const auto id = static_cast<size_t>(ids[slot]);
      EXPECT_EQ(places[slot], static_cast<double>(j));
      EXPECT_GE(static_cast<double>(j), offsets[id]);
      EXPECT_LT(static_cast<double>(j), offsets[id + 1]);
      if (j > 0 && ids[static_cast<size_t>(slots[j - 1])] == ids[slot]) {
        EXPECT_LT(slots[j - 1], slots[j]);
      }
    }
  }
}

TEST(ExpertRows, RefusesAnExpertThatDoesNotExist) {
  TestPass pass;
  const Tensor expert = from_values(pass.plain, {2, 1}, DType::kI32, {0, 4});
  try {
    order_by_expert(pass.plain, expert, 4);
    FAIL() << "expert 4 of 4 was accepted";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("row 1 picks expert 4 of 4"), std::string::npos)
        << error.what();
  }
}

TEST(ExpertRows, RefusesRowsThatDoNotFitTheOrder) {
  TestPass pass;
  const ExpertOrder order = order_by_expert(pass.plain, random_choice(pass.plain, 4, 2, 3), 3);
  const Tensor x = random_tensor(pass.plain, {5, 3}, DType::kF64, 1);
  EXPECT_THROW(expert_gather(pass.plain, x, order, 2), Error);
  const Tensor rows = random_tensor(pass.plain, {8, 3}, DType::kF64, 1);
  const Tensor weight = random_tensor(pass.plain, {4, 2}, DType::kF64, 1);
  EXPECT_THROW(expert_combine(pass.plain, x, order, weight, Tensor()), Error);
  EXPECT_THROW(expert_combine(pass.plain, rows, order, weight, x), Error);
}

TEST(ExpertRows, CombiningGatheredRowsGivesTheTokensBack) {
  TestPass pass;
  const ExpertOrder order = order_by_expert(pass.plain, random_choice(pass.plain, 20, 4, 7), 7);
  const Tensor x = random_tensor(pass.plain, {20, 5}, DType::kF64, 1);
  const Tensor quarter =
      from_values(pass.plain, {20, 4}, DType::kF64, std::vector<double>(80, 0.25));
  const Tensor rows = expert_gather(pass.plain, x, order, 4);
  EXPECT_TRUE(identical(expert_combine(pass.plain, rows, order, quarter, Tensor()), x));
}

// The sum runs over experts, not over the order in which they were chosen.
TEST(ExpertRows, TheOrderOfTheChoiceDoesNotChangeABit) {
  for (const KernelTable& table : {reference_kernels(), fast_kernels()}) {
    TestPass pass(table);
    const Tensor weight = from_values(pass.plain, {1, 3}, DType::kF32, {0.1, 0.2, 0.7});
    const Tensor turned = from_values(pass.plain, {1, 3}, DType::kF32, {0.7, 0.1, 0.2});
    const ExpertOrder order =
        order_by_expert(pass.plain, from_values(pass.plain, {1, 3}, DType::kI32, {1, 4, 2}), 6);
    const ExpertOrder other =
        order_by_expert(pass.plain, from_values(pass.plain, {1, 3}, DType::kI32, {2, 1, 4}), 6);
    const Tensor rows = random_tensor(pass.plain, {3, 50}, DType::kF32, 1),
                 base = random_tensor(pass.plain, {1, 50}, DType::kF32, 2);
    EXPECT_TRUE(identical(expert_combine(pass.plain, rows, order, weight, base),
                          expert_combine(pass.plain, rows, other, turned, base)));
  }
}

TEST(ExpertRows, GradientsEqualDifferences) {
  TestPass pass;
  const ExpertOrder order = order_by_expert(pass.plain, random_choice(pass.plain, 5, 2, 6), 6);
  EXPECT_EQ(
      testing::check_gradients(
          [&](Pass& p, const std::vector<Tensor>& in) { return expert_gather(p, in[0], order, 2); },
          {{5, 3}}, {}, pass),
      "");
  const auto combine = [&](Pass& p, const std::vector<Tensor>& in) {
    return expert_combine(p, in[0], order, in[1], in.size() > 2 ? in[2] : Tensor());
  };
  EXPECT_EQ(testing::check_gradients(combine, {{10, 3}, {5, 2}}, {}, pass), "");
  EXPECT_EQ(testing::check_gradients(combine, {{10, 3}, {5, 2}, {5, 3}}, {}, pass), "");
  // One tensor that is gathered twice gets both gradients.
  const auto twice = [&](Pass& p, const std::vector<Tensor>& in) {
    return expert_combine(p, expert_gather(p, in[0], order, 2), order, in[1], in[0]);
  };
  EXPECT_EQ(testing::check_gradients(twice, {{5, 3}, {5, 2}}, {}, pass), "");
}

// ---- the fast kernels

struct Case {
  int64_t tokens, k, experts, cols;
  bool slice;
};

constexpr Case kCases[] = {{0, 2, 4, 8, false},   {1, 1, 1, 1, false},   {7, 3, 5, 5, true},
                           {33, 2, 9, 64, false}, {20, 8, 64, 77, true}, {300, 6, 64, 192, false},
                           {50, 4, 8, 130, true}};

struct Results {
  Tensor rows, dx, out, drows, dweight;
};

Tensor input(Pass& pass, const Case& c, int64_t rows, uint64_t seed) {
  return c.slice ? random_slice(pass, rows, c.cols, DType::kF32, seed)
                 : random_tensor(pass, {rows, c.cols}, DType::kF32, seed);
}

Results run(const KernelTable& table, Pass& pass, const Case& c, bool with) {
  const ExpertOrder order =
      order_by_expert(pass, random_choice(pass, c.tokens, c.k, c.experts), c.experts);
  const int64_t slots = c.tokens * c.k;
  Results r{input(pass, c, slots, 9), input(pass, c, c.tokens, 10), input(pass, c, c.tokens, 11),
            input(pass, c, slots, 12), pass.empty({c.tokens, c.k}, DType::kF32)};
  const Tensor x = input(pass, c, c.tokens, 1), drows = input(pass, c, slots, 2),
               base = input(pass, c, c.tokens, 3);
  const Tensor weight = random_tensor(pass, {c.tokens, c.k}, DType::kF32, 4);
  table.expert_gather(nullptr, x.read(), order.order.read(), c.k, r.rows.write());
  table.expert_gather_backward(nullptr, drows.read(), order.place.read(), c.k, r.dx.write(), with);
  table.expert_combine(nullptr, drows.read(), order.place.read(), weight.read(),
                       with ? base.read() : ConstView{}, r.out.write());
  table.expert_combine_backward(nullptr, r.rows.read(), order.place.read(), weight.read(), x.read(),
                                r.drows.write(), r.dweight.write());
  return r;
}

TEST(ExpertRows, FastKernelsEqualTheReference) {
  testing::for_each_simd_target([] {
    TestPass pass;
    for (const Case& c : kCases) {
      for (const bool with : {false, true}) {  // a base, and a gradient that is already there
        SCOPED_TRACE(concat(c.tokens, " tokens, ", c.k, " of ", c.experts, " experts, ", c.cols,
                            " columns"));
        const Results want = run(reference_kernels(), pass.plain, c, with),
                      got = run(fast_kernels(), pass.plain, c, with);
        const double sum = testing::sum_tolerance(c.k + 1);
        EXPECT_TRUE(identical(got.rows, want.rows));
        EXPECT_EQ(difference(got.dx, want.dx, sum, 8 * sum), "");
        EXPECT_EQ(difference(got.out, want.out, sum, 8 * sum), "");
        EXPECT_TRUE(identical(got.drows, want.drows));
        const double dot = testing::sum_tolerance(c.cols);
        EXPECT_EQ(difference(got.dweight, want.dweight, dot, 8 * dot), "");
      }
    }
  });
}

TEST(ExpertRows, ATokenAloneEqualsTheTokenInABatch) {
  testing::for_each_simd_target([] {
    TestPass pass(fast_kernels());
    const Tensor expert = random_choice(pass.plain, 100, 4, 16);
    const Tensor x = random_tensor(pass.plain, {100, 77}, DType::kF32, 1);
    const Tensor weight = random_tensor(pass.plain, {100, 4}, DType::kF32, 2);
    const auto mixed = [&](int64_t begin, int64_t count) {
      const ExpertOrder order = order_by_expert(pass.plain, expert.rows_at(begin, count), 16);
      const Tensor part = x.rows_at(begin, count);
      return expert_combine(pass.plain, expert_gather(pass.plain, part, order, 4), order,
                            weight.rows_at(begin, count), part);
    };
    const Tensor all = mixed(0, 100);
    for (const int64_t t : {0, 41, 99}) EXPECT_TRUE(identical(mixed(t, 1), all.rows_at(t, 1)));
  });
}

TEST(ExpertRows, ResultsDependOnNeitherThreadsNorTape) {
  TestPass pass(fast_kernels());
  const Case c{600, 4, 16, 192, false};
  const auto [one, two] =
      testing::with_one_and_two_threads([&] { return run(fast_kernels(), pass.plain, c, true); });
  EXPECT_TRUE(identical(one.rows, two.rows));
  EXPECT_TRUE(identical(one.dx, two.dx));
  EXPECT_TRUE(identical(one.out, two.out));
  EXPECT_TRUE(identical(one.drows, two.drows));
  EXPECT_TRUE(identical(one.dweight, two.dweight));

  const ExpertOrder order = order_by_expert(pass.plain, random_choice(pass.plain, 600, 4, 16), 16);
  Tensor x = random_tensor(pass.plain, {600, 192}, DType::kF32, 1);
  const Tensor weight = random_tensor(pass.plain, {600, 4}, DType::kF32, 2);
  const Tensor plain =
      expert_combine(pass.plain, expert_gather(pass.plain, x, order, 4), order, weight, x);
  EXPECT_EQ(plain.slot(), nullptr);
  testing::require_grad(x);
  const Tensor taped =
      expert_combine(pass.taped, expert_gather(pass.taped, x, order, 4), order, weight, x);
  EXPECT_TRUE(identical(plain, taped));
}

}  // namespace
}  // namespace fathom
