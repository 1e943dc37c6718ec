#include "generate/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/team.h"
#include "ops/softmax_weights/kernels.h"
#include "ops/testing.h"

namespace fathom {
namespace {

using testing::from_values;
using testing::random_tensor;
using testing::TestPass;
using testing::to_doubles;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

KernelTable fast_kernels() {
  KernelTable table = reference_kernels();
  table.softmax_weights = &cpu::softmax_weights;
  return table;
}

class Sampler : public ::testing::Test {
 protected:
  Tensor row(const std::vector<double>& logits) {
    return from_values(pass.plain, {1, static_cast<int64_t>(logits.size())}, DType::kF32, logits);
  }
  // `draws` tokens of one row, with seeds from 0 on.
  std::vector<int32_t> draw(const Tensor& logits, const Sampling& sampling, int64_t draws) {
    const RowDraws rows{sampling, 0, draws};
    std::vector<int32_t> ids;
    for (const auto& token : sample_tokens(pass.plain, logits, {&rows, 1}))
      ids.push_back(token->id);
    return ids;
  }
  std::vector<int32_t> kept(const Tensor& logits, const Sampling& sampling) {
    return kept_tokens(pass.plain, logits, sampling).ids;
  }

  TestPass pass{fast_kernels()};
};

using Ids = std::vector<int32_t>;

TEST_F(Sampler, TemperatureZeroTakesTheLowestOfTheBest) {
  Sampling greedy;
  greedy.temperature = 0;
  EXPECT_EQ(draw(row({1, 5, -2, 5}), greedy, 3), (Ids{1, 1, 1}));
  greedy = {};
  greedy.top_p = 0;
  EXPECT_EQ(draw(row({1, 5, -2, 5}), greedy, 1), (Ids{1}));
  EXPECT_EQ(kept(row({1, 5, -2, 5}), greedy), (Ids{1}));
}

TEST_F(Sampler, TopKKeepsTheBestAndOfEqualsTheLower) {
  Sampling s;
  s.top_k = 2;
  EXPECT_EQ(kept(row({1, 3, 2, 2}), s), (Ids{1, 2}));
  s.top_k = 9;
  EXPECT_EQ(kept(row({1, 3, 2, 2}), s), (Ids{0, 1, 2, 3}));
}

TEST_F(Sampler, TopPKeepsTheFewestThatReachIt) {
  const Tensor logits = row({std::log(0.1), std::log(0.4), std::log(0.2), std::log(0.3)});
  Sampling s;
  for (const auto& [p, ids] : std::vector<std::pair<double, Ids>>{{0.39, {1}},
                                                                  {0.41, {1, 3}},
                                                                  {0.69, {1, 3}},
                                                                  {0.71, {1, 2, 3}},
                                                                  {0.91, {0, 1, 2, 3}},
                                                                  {1e-300, {1}}}) {
    s.top_p = p;
    EXPECT_EQ(kept(logits, s), ids) << p;
  }
  s.top_p = 0.5;
  EXPECT_EQ(kept(row({2, 2, 2, 2}), s), (Ids{0, 1}));
}

TEST_F(Sampler, MinPKeepsWhatIsLikelyBesideTheBest) {
  Sampling s;
  s.min_p = 0.25;
  const Tensor logits = row({std::log(0.5), std::log(0.13), std::log(0.12), std::log(0.25)});
  EXPECT_EQ(kept(logits, s), (Ids{0, 1, 3}));
  s.temperature = 2;  // comes first: square roots, so that 0.12 is 0.49 of the best
  EXPECT_EQ(kept(logits, s), (Ids{0, 1, 2, 3}));
}

// Sorted lists and double precision: min-p, then top-k, then top-p.
KeptTokens plain_kept(const std::vector<double>& logits, const Sampling& s) {
  const double max = *std::max_element(logits.begin(), logits.end());
  std::vector<std::pair<double, int32_t>> best;  // minus the weight, id
  for (size_t i = 0; i < logits.size(); ++i) {
    const double weight = std::exp((logits[i] - max) / s.temperature);
    if (weight > 0 && weight >= s.min_p) best.push_back({-weight, static_cast<int32_t>(i)});
  }
  std::sort(best.begin(), best.end());
  if (s.top_k > 0 && static_cast<size_t>(s.top_k) < best.size())
    best.resize(static_cast<size_t>(s.top_k));
  double total = 0, mass = 0, sum = 0;
  for (const auto& [minus, id] : best) total -= minus;
  size_t count = s.top_p < 1 ? 0 : best.size();
  while (count < best.size() && (count == 0 || mass < s.top_p * total)) mass -= best[count++].first;
  best.resize(count);
  std::sort(best.begin(), best.end(), [](auto a, auto b) { return a.second < b.second; });
  for (const auto& [minus, id] : best) sum -= minus;
  KeptTokens kept;
  for (const auto& [minus, id] : best) {
    kept.ids.push_back(id);
    kept.probs.push_back(-minus / sum);
  }
  return kept;
}

TEST_F(Sampler, KeepsWhatSortedListsKeep) {
  for (const int64_t vocab : {1, 31, 300, 4096}) {
    for (const double scale : {0.1, 1.0, 6.0}) {
      const Tensor logits = random_tensor(pass.plain, {1, vocab}, DType::kF32, 7, scale);
      for (const double temperature : {1.0, 0.7, 1.6}) {
        for (const int64_t top_k : {0, 1, 40, 1000}) {
          for (const double top_p : {1.0, 0.95, 0.5, 0.03}) {
            for (const double min_p : {0.0, 0.05, 1.0}) {
              SCOPED_TRACE(concat(vocab, " x", scale, " T", temperature, " k", top_k, " p", top_p,
                                  " min ", min_p));
              const Sampling s{temperature, top_k, top_p, min_p, 0};
              const KeptTokens got = kept_tokens(pass.plain, logits, s);
              const KeptTokens want = plain_kept(to_doubles(logits), s);
              ASSERT_EQ(got.ids, want.ids);
              for (size_t i = 0; i < want.probs.size(); ++i)
                ASSERT_NEAR(got.probs[i], want.probs[i], 1e-6);
            }
          }
        }
      }
    }
  }
}

// Frequencies of 40000 draws against probabilities: chi squared, whose mean is its number of
// degrees of freedom n and whose deviation is sqrt(2 n).
TEST_F(Sampler, DrawsWithTheProbabilitiesItKeeps) {
  constexpr int64_t kDraws = 40000, kVocab = 700;  // more than two blocks
  const Tensor logits = random_tensor(pass.plain, {1, kVocab}, DType::kF32, 3);
  for (const Sampling& s : {Sampling{}, Sampling{0.8, 0, 1, 0, 5}, Sampling{1, 50, 1, 0, 6},
                            Sampling{1.2, 0, 0.9, 0, 7}, Sampling{1, 0, 1, 0.1, 8}}) {
    const KeptTokens expected = kept_tokens(pass.plain, logits, s);
    std::vector<double> count(static_cast<size_t>(kVocab));
    for (const int32_t id : draw(logits, s, kDraws)) ++count[static_cast<size_t>(id)];
    double chi = 0, drawn = 0;
    for (size_t i = 0; i < expected.ids.size(); ++i) {
      const double mean = expected.probs[i] * kDraws;
      const double seen = count[static_cast<size_t>(expected.ids[i])];
      chi += (seen - mean) * (seen - mean) / mean;
      drawn += seen;
    }
    EXPECT_EQ(drawn, kDraws) << "a token was drawn that is not kept";
    const double freedom = static_cast<double>(expected.ids.size()) - 1;
    EXPECT_LT(std::abs(chi - freedom), 5 * std::sqrt(2 * freedom)) << "k " << s.top_k;
  }
}

TEST_F(Sampler, MinusInfinityIsNeverDrawn) {
  std::vector<double> logits(1500, -kInfinity);
  for (const size_t i : {260u, 261u, 900u}) logits[i] = 1;
  for (const Sampling& s : {Sampling{}, Sampling{1e-30, 0, 1, 0, 0}, Sampling{1e300, 0, 1, 0, 0},
                            Sampling{1, 100, 1, 0, 0}, Sampling{1, 0, 0.999999, 0, 0}}) {
    EXPECT_EQ(kept(row(logits), s), (Ids{260, 261, 900}));
    Ids ids = draw(row(logits), s, 200);
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    EXPECT_EQ(ids, (Ids{260, 261, 900}));
  }
}

TEST_F(Sampler, LogprobsAreThoseOfTheUnmodifiedLogits) {
  const Tensor logits = random_tensor(pass.plain, {1, 4096}, DType::kF32, 3, 2);
  const std::vector<double> x = to_doubles(logits);
  double sum = 0;
  for (const double v : x) sum += std::exp(v);
  for (const Sampling& s : {Sampling{}, Sampling{0, 0, 1, 0, 0}, Sampling{0.5, 20, 0.9, 0, 9}}) {
    const RowDraws rows{s, 3, 50};
    for (const auto& token : sample_tokens(pass.plain, logits, {&rows, 1}))
      EXPECT_NEAR(token->logprob, x[static_cast<size_t>(token->id)] - std::log(sum), 5e-7);
  }
}

// Rows of every kind of sampling, one of them unusable.
struct Mixed {
  explicit Mixed(Pass& pass) : logits(random_tensor(pass, {40, 999}, DType::kF32, 4)) {
    logits.write().row<float>(17)[5] = std::numeric_limits<float>::quiet_NaN();
    for (uint64_t r = 0; r < 40; ++r) {
      Sampling s;
      s.seed = 100 + r;
      if (r % 5 == 1) s.temperature = 0.6;
      if (r % 5 == 2) s.top_k = 10;
      if (r % 5 == 3) s.top_p = 0.8;
      if (r % 5 == 4) s.temperature = 0;
      rows.push_back({s, r / 2, static_cast<int64_t>(1 + r % 3)});
    }
  }
  Tensor logits;
  std::vector<RowDraws> rows;
};

using Tokens = std::vector<std::pair<int32_t, double>>;
Tokens plain(const std::vector<std::optional<SampledToken>>& tokens) {
  Tokens all;
  for (const auto& t : tokens) all.push_back(t ? std::pair(t->id, t->logprob) : std::pair(-1, 0.0));
  return all;
}

TEST_F(Sampler, ARowAloneGivesTheTokensOfTheRowAmongOthers) {
  const Mixed mixed(pass.plain);
  const Tokens all = plain(sample_tokens(pass.plain, mixed.logits, mixed.rows));
  Tokens alone;
  for (size_t r = 0; r < mixed.rows.size(); ++r) {
    for (int64_t i = 0; i < mixed.rows[r].draws; ++i) {
      RowDraws one = mixed.rows[r];
      one.sampling.seed += static_cast<uint64_t>(i);
      one.draws = 1;
      const Tensor logits = mixed.logits.rows_at(static_cast<int64_t>(r), 1);
      for (const auto& token : plain(sample_tokens(pass.plain, logits, {&one, 1})))
        alone.push_back(token);
    }
  }
  EXPECT_EQ(alone, all);
}

TEST_F(Sampler, TokensDoNotDependOnThreads) {
  const Mixed mixed(pass.plain);
  const int before = team_size();
  set_team_size(1);
  const Tokens one = plain(sample_tokens(pass.plain, mixed.logits, mixed.rows));
  set_team_size(2);
  const Tokens two = plain(sample_tokens(pass.plain, mixed.logits, mixed.rows));
  set_team_size(before);
  EXPECT_EQ(one, two);
}

TEST_F(Sampler, OnlyTheRowWithANanGivesNothing) {
  const Mixed mixed(pass.plain);
  const auto tokens = sample_tokens(pass.plain, mixed.logits, mixed.rows);
  size_t i = 0;
  for (size_t r = 0; r < mixed.rows.size(); ++r) {
    for (int64_t n = 0; n < mixed.rows[r].draws; ++n) EXPECT_EQ(tokens[i++].has_value(), r != 17);
  }
  EXPECT_EQ(i, tokens.size());
}

TEST_F(Sampler, RefusesValuesThatMakeNoSense) {
  const auto refusal = [](const Sampling& s) -> std::string {
    try {
      check_sampling(s);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal({}), "");
  EXPECT_NE(refusal({-1, 0, 1, 0, 0}).find("temperature is -1"), std::string::npos);
  EXPECT_NE(refusal({1, -2, 1, 0, 0}).find("top_k is -2"), std::string::npos);
  EXPECT_NE(refusal({1, 0, 1.5, 0, 0}).find("top_p is 1.5"), std::string::npos);
  EXPECT_NE(refusal({1, 0, 1, 2, 0}).find("min_p is 2"), std::string::npos);
}

}  // namespace
}  // namespace fathom
