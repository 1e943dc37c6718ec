// The collected faults of routing, balancing and chunked prompts, through the modules that models
// use.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "backend/device.h"
#include "model/testing.h"
#include "nn/experts.h"
#include "nn/kv_cache.h"
#include "ops/paged_attention/paged_attention.h"
#include "ops/testing.h"

namespace fathom {
namespace {

using testing::from_values;
using testing::shared_checks;
using testing::TestPass;
using testing::to_doubles;

std::vector<double> doubles(const Json& list) {
  std::vector<double> values;
  for (const Json& value : list.items()) values.push_back(value.as_double());
  return values;
}

// Rows of equal length, one after the other.
std::vector<double> flat(const Json& rows) {
  std::vector<double> values;
  for (const Json& row : rows.items()) {
    const std::vector<double> more = doubles(row);
    values.insert(values.end(), more.begin(), more.end());
  }
  return values;
}

// The reference kernels and the best of this machine.
std::vector<KernelTable> tables() { return {reference_kernels(), Device::open({}).kernels()}; }

RouteShape shape_of(const Json& input) {
  RouteShape shape;
  shape.n_routed_experts = static_cast<int64_t>(input.at("logits").size());
  shape.num_experts_per_tok = input.int_at("num_experts_per_tok");
  shape.n_group = input.int_at("n_group");
  shape.topk_group = input.int_at("topk_group");
  shape.norm_topk_prob = input.bool_at("norm_topk_prob");
  shape.routed_scaling_factor = input.double_at("routed_scaling_factor");
  return shape;
}

TEST(RoutingCases, WeightsComeFromTheUnbiasedScores) {
  const Json::Array checks = shared_checks("routing/B22.json");
  if (checks.empty()) GTEST_SKIP() << "../shared/cases is absent";
  for (const KernelTable& table : tables()) {
    for (const Json& check : checks) {
      SCOPED_TRACE(check.string_at("name"));
      TestPass pass(table);
      const Json& input = check.at("input");
      ASSERT_EQ(input.string_at("scoring_func"), "sigmoid");
      ASSERT_EQ(input.string_at("topk_method"), "noaux_tc");
      const RouteShape shape = shape_of(input);
      const int64_t experts = shape.n_routed_experts;
      const Routed routed = topk_route(
          pass.plain,
          from_values(pass.plain, {1, experts}, DType::kF32, doubles(input.at("logits"))),
          from_values(pass.plain, {experts}, DType::kF32,
                      doubles(input.at("e_score_correction_bias"))),
          shape, std::vector<int32_t>{0, 1}, {});
      const std::vector<double> ids = to_doubles(routed.expert),
                                weights = to_doubles(routed.weight);
      const std::vector<double> wanted = doubles(check.at("expect").at("experts"));
      const std::vector<double> weight = doubles(check.at("expect").at("weights"));
      ASSERT_EQ(ids.size(), wanted.size());
      for (size_t i = 0; i < wanted.size(); ++i) {
        const auto at = std::find(ids.begin(), ids.end(), wanted[i]);
        ASSERT_NE(at, ids.end()) << "expert " << wanted[i];
        testing::expect_near(weights[static_cast<size_t>(at - ids.begin())], weight[i], 1e-5,
                             concat("expert ", wanted[i]));
      }
    }
  }
}

// Rows of real tokens only: a batch has no others.
Json::Array real_picks(const Json& input) {
  if (!input.contains("picks")) {
    Json::Array all;
    for (const Json& part : input.at("picks_per_part").items())
      all.insert(all.end(), part.items().begin(), part.items().end());
    return all;
  }
  Json::Array real;
  for (size_t i = 0; i < input.at("picks").size(); ++i) {
    if (input.at("real").at(i).as_int() == 1) real.push_back(input.at("picks").at(i));
  }
  return real;
}

TEST(RoutingCases, TheBiasFollowsTheLoadOfTheWholeStep) {
  const Json::Array checks = shared_checks("routing/B23.json");
  if (checks.empty()) GTEST_SKIP() << "../shared/cases is absent";
  for (const Json& check : checks) {
    SCOPED_TRACE(check.string_at("name"));
    TestPass pass;
    const Json& input = check.at("input");
    const int64_t experts = input.int_at("experts");
    const Json::Array picks = real_picks(input);
    const Tensor expert = from_values(pass.plain, {static_cast<int64_t>(picks.size()), 2},
                                      DType::kI32, flat(Json(picks)));
    const std::vector<int64_t> counts = count_experts(expert, experts);
    if (check.at("expect").contains("counts")) {
      EXPECT_EQ(Json(counts), check.at("expect").at("counts"));
    }
    ExpertsShape shape;
    shape.hidden_size = shape.moe_intermediate_size = 4;
    shape.route.n_routed_experts = experts;
    shape.route.num_experts_per_tok = 2;
    Experts layer(shape, "mlp.");
    ParameterList list;
    layer.list(list);
    Parameter* bias = *std::find_if(list.begin(), list.end(), [](const Parameter* p) {
      return p->name == "mlp.gate.e_score_correction_bias";
    });
    bias->value = from_values(pass.plain, {experts}, DType::kF32, doubles(input.at("bias")));
    layer.balance_bias(counts, input.double_at("u"));
    const std::vector<double> got = to_doubles(bias->value);
    const std::vector<double> wanted = doubles(check.at("expect").at("bias"));
    for (size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(got[i], wanted[i], 1e-7) << i;
  }
}

TEST(RoutingCases, TheBalanceLossIsOverAllExpertsAndRealTokens) {
  const Json::Array checks = shared_checks("routing/B24.json");
  if (checks.empty()) GTEST_SKIP() << "../shared/cases is absent";
  for (const KernelTable& table : tables()) {
    for (const Json& check : checks) {
      SCOPED_TRACE(check.string_at("name"));
      TestPass pass(table);
      const Json& input = check.at("input");
      const Json& sequences = input.at("logits");
      std::vector<double> logits;
      std::vector<int32_t> starts = {0};
      std::vector<float> share;
      for (size_t s = 0; s < sequences.size(); ++s) {
        const std::vector<double> rows = flat(sequences.at(s));
        logits.insert(logits.end(), rows.begin(), rows.end());
        auto tokens = static_cast<int64_t>(sequences.at(s).size());
        if (const Json* real = input.find("real")) {
          const std::vector<double> marks = doubles(real->at(s));
          tokens = static_cast<int64_t>(std::accumulate(marks.begin(), marks.end(), 0.0));
        }
        starts.push_back(starts.back() + static_cast<int32_t>(tokens));
        share.push_back(1.0f / static_cast<float>(sequences.size()));
      }
      const auto rows = static_cast<int32_t>(logits.size() / 4);
      if (rows > starts.back()) {  // padding: rows that have no part in the step
        starts.push_back(rows);
        share.push_back(0);
      }
      RouteShape shape{.n_routed_experts = 4, .num_experts_per_tok = input.int_at("k")};
      shape.scoring_func = ScoringFunc::kSoftmax;
      shape.topk_method = TopkMethod::kGreedy;
      shape.balance_alpha = input.double_at("alpha");
      PassStats stats;
      pass.plain.stats = &stats;
      topk_route(pass.plain, from_values(pass.plain, {rows, 4}, DType::kF32, logits), {}, shape,
                 starts, share);
      testing::expect_near(stats.balance_loss, check.at("expect").double_at("loss"), 1e-6, "loss");
    }
  }
}

// A prompt read in pieces through the cache gives what one pass gives.
TEST(CacheCases, TheResultDoesNotDependOnHowAPromptIsCut) {
  const Json::Array checks = shared_checks("numerics/B21.json");
  if (checks.empty()) GTEST_SKIP() << "../shared/cases is absent";
  const Json& input = checks.front().at("input");
  const std::vector<double> wanted = flat(checks.front().at("expect").at("output"));
  const AttentionShape attention{1, 1, 4, 4, 0.5};
  for (const KernelTable& table : tables()) {
    std::vector<double> first;  // of the first way of cutting
    for (const Json& chunks : input.at("chunks").items()) {
      SCOPED_TRACE(chunks.dump());
      TestPass pass(table);
      KvCache cache(*pass.memory, {.layers = 1, .width = 8, .page_tokens = 2}, 4);
      const auto tensor = [&](const char* name) {
        return from_values(pass.plain, {7, 4}, DType::kF32, flat(input.at(name)));
      };
      const Tensor q = tensor("q"), k = tensor("k"), v = tensor("v");
      PagedSequence sequence;
      std::vector<double> got;
      for (const Json& size : chunks.items()) {
        const int64_t begin = sequence.length, count = size.as_int();
        ASSERT_TRUE(cache.extend(pass.plain, sequence, count));
        for (int64_t i = begin; i < begin + count; ++i) {
          const int64_t place = sequence.pages[static_cast<size_t>(i / 2)] * 2 + i % 2;
          View row = cache.layer(0).write().rows_at(place, 1);
          pass.kernels.copy(nullptr, k.rows_at(i, 1).read(), row.columns(0, 4));
          pass.kernels.copy(nullptr, v.rows_at(i, 1).read(), row.columns(4, 4));
        }
        sequence.length += count;
        const std::vector<PagedSpan> spans = {{0, count, sequence.length, sequence.pages.data()}};
        const std::vector<double> part = to_doubles(paged_attention(
            pass.plain, q.rows_at(begin, count), cache.layer(0), spans, {attention, 4, 2}));
        got.insert(got.end(), part.begin(), part.end());
      }
      ASSERT_EQ(got.size(), wanted.size());
      if (first.empty()) first = got;
      for (size_t i = 0; i < got.size(); ++i) {
        EXPECT_NEAR(got[i], wanted[i], 1e-6) << i;
        EXPECT_NEAR(got[i], first[i], 1e-6) << i;
      }
    }
  }
}

}  // namespace
}  // namespace fathom
