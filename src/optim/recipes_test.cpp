#include "optim/recipes.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "optim/schedule.h"

namespace fathom {
namespace {

constexpr double kT = 1e12, kB = 1e9;

const Recipe& named(const char* name) {
  const Recipe* recipe = find_recipe(name);
  FATHOM_CHECK(recipe != nullptr, "no recipe ", name);
  return *recipe;
}

TEST(Recipes, OfLlm7bGivesThePublishedRates) {
  const Recipe& r = named("llm-7b");
  EXPECT_NEAR(r.learning_rate(999, 0), 2.1e-4, 1e-12);  // the 1000th step
  const int64_t late = 100'000;
  EXPECT_NEAR(r.learning_rate(late, 0.5 * 2 * kT), 4.2e-4, 1e-12);
  EXPECT_NEAR(r.learning_rate(late, 0.85 * 2 * kT), 1.32816e-4, 1e-9);
  EXPECT_NEAR(r.learning_rate(late, 0.95 * 2 * kT), 4.2e-5, 1e-12);
  EXPECT_EQ(r.batch_sequences(kT) * r.sequence_tokens, 9'437'184);  // 9.44 M tokens
}

TEST(Recipes, OfLlm67bTakesAboutItsBatch) {
  const Recipe& r = named("llm-67b");
  EXPECT_NEAR(static_cast<double>(r.batch_sequences(0) * r.sequence_tokens), 18.87e6, 5e3);
  EXPECT_NEAR(r.learning_rate(5000, 0), 3.2e-4, 1e-12);
}

TEST(Recipes, OfMoe16bTakesAboutItsSteps) {
  EXPECT_NEAR(named("moe-16b").steps(), 106'449, 0.005 * 106'449);
}

TEST(Recipes, OfV2DecaysEarlier) {
  const Recipe& r = named("v2");
  const int64_t late = 100'000;
  EXPECT_NEAR(r.learning_rate(late, 0.59 * r.tokens), 2.4e-4, 1e-12);
  EXPECT_NEAR(r.learning_rate(late, 0.61 * r.tokens), 2.4e-4 * std::sqrt(0.1), 1e-12);
  EXPECT_NEAR(r.learning_rate(late, 0.91 * r.tokens), 2.4e-5, 1e-12);
  EXPECT_EQ(r.batch_sequences(0), 2304);
  EXPECT_EQ(r.batch_sequences(112.5 * kB), 5760);
  EXPECT_EQ(r.batch_sequences(225 * kB), 9216);
}

TEST(Recipes, OfV3GivesThePublishedPoints) {
  const Recipe& r = named("v3");
  const int64_t late = 200'000;
  EXPECT_NEAR(r.learning_rate(999, 0), 1.1e-4, 1e-12);
  EXPECT_NEAR(r.learning_rate(late, 9.99 * kT), 2.2e-4, 1e-12);
  EXPECT_NEAR(r.learning_rate(late, 12.15 * kT), 1.21e-4, 1e-10);
  EXPECT_NEAR(r.learning_rate(late, 14.5 * kT), 2.2e-5, 1e-12);
  EXPECT_NEAR(r.learning_rate(late, 14.7 * kT), 7.3e-6, 1e-12);
  EXPECT_NEAR((14.3 + 0.333 + 0.167) * kT, r.tokens, 1);
  EXPECT_EQ(r.batch_sequences(0), 3072);
  EXPECT_EQ(r.batch_sequences(234.5 * kB), 9216);
  EXPECT_EQ(r.batch_sequences(469 * kB), 15360);
  EXPECT_EQ(r.batch_sequences(100 * kB, 960) % 960, 0);
  EXPECT_NEAR(static_cast<double>(r.batch_sequences(kT) * r.sequence_tokens), 62.91e6, 5e3);
  EXPECT_NEAR(r.steps(), 242.8e3, 0.1e3);
  EXPECT_EQ(r.bias_update_speed * r.bias_course.at(r.progress(14.2 * kT)), 0.001);
  EXPECT_EQ(r.bias_course.at(r.progress(14.31 * kT)), 0);
  EXPECT_NEAR(r.mtp_weight * r.mtp_course.at(r.progress(9.9 * kT)), 0.3, 1e-12);
  EXPECT_NEAR(r.mtp_weight * r.mtp_course.at(r.progress(10.1 * kT)), 0.1, 1e-12);
}

TEST(Recipes, GiveTheirCourseToOtherRuns) {
  const ScheduleConfig config{parse_schedule("v3"), 1e-3, 10, 0.1, find_recipe("v3")};
  EXPECT_NEAR(learning_rate(config, 4, 1000), 5e-4, 1e-12);
  EXPECT_NEAR(learning_rate(config, 500, 1000), 1e-3, 1e-12);
  EXPECT_NEAR(learning_rate(config, 821, 1000), 1e-3 * named("v3").lr.at(0.821), 1e-12);
  EXPECT_NEAR(learning_rate(config, 995, 1000), 1e-3 * 7.3e-6 / 2.2e-4, 1e-12);
}

TEST(Recipes, StepsFollowTheGrowingBatch) {
  const BatchSize v3 = named("v3").batch;
  EXPECT_NEAR(v3.steps(469 * kB, 4096), 15.0e3, 15);
  EXPECT_NEAR(v3.steps(14.8 * kT, 4096), 242.8e3, 100);
  EXPECT_DOUBLE_EQ((BatchSize{4608, 4608, 0}.steps(4608.0 * 4096 * 7, 4096)), 7);
  EXPECT_DOUBLE_EQ((BatchSize{8, 8, 1e6}.steps(8.0 * 4096 * 7, 4096)), 7);
  // Half-way through the ramp a step has the mean of both: 9216 sequences.
  const double h = kB;
  const double per_step = h / (v3.steps(234.5 * kB + h, 4096) - v3.steps(234.5 * kB, 4096));
  EXPECT_NEAR(per_step, 9216 * 4096, 5e-3 * 9216 * 4096);
}

TEST(Curve, RefusesPiecesOutOfOrder) {
  EXPECT_THROW(Curve({{0.5, 1, 1}, {0.5, 1, 1}, {1, 1, 1}}), Error);
  EXPECT_THROW(Curve({{0.5, 1, 1}}), Error);
  EXPECT_EQ(Curve(3).at(0.7), 3);
  EXPECT_EQ(Curve({{0.5, 1, 3}, {1, 5, 5}}).at(0.25), 2);
  EXPECT_EQ(Curve({{0.5, 1, 3}, {1, 5, 7}}).at(2), 7);
}

}  // namespace
}  // namespace fathom
