#include "plan/training_cost.h"

#include "base/error.h"
#include "model/presets.h"
#include "plan/model_cost.h"
#include "plan/plan.h"
#include "plan/testing.h"

namespace fathom {
namespace {

using testing::expect_within;
using testing::kClose;
using testing::kExact;
using testing::kRounded;

const ModelConfig& preset(const char* name) { return model_preset(name).config; }
TrainingCost cost_of(const char* name, const PlanInputs& inputs = {}) {
  return make_plan(name, preset(name), inputs).training;
}

TEST(TrainingCost, OfV3IsThePublishedTable) {
  const TrainingCost v3 = cost_of("v3");
  expect_within(v3.pretraining_gpu_hours, 2664e3, kExact, "pre-training");
  expect_within(v3.context_extension_gpu_hours.value(), 119e3, kExact, "extension");
  expect_within(v3.post_training_gpu_hours.value(), 5e3, kExact, "post-training");
  expect_within(v3.total_gpu_hours, 2788e3, kExact, "total");
  expect_within(v3.dollars, 5.576e6, kExact, "dollars");
  expect_within(v3.days_per_trillion, 3.66, kClose, "days per trillion");
  expect_within(v3.pretraining_days, 54.2, kClose, "days");
}

TEST(TrainingCost, RatesFollowFromHoursAndOperations) {
  const TrainingCost v3 = cost_of("v3");
  expect_within(v3.tokens_per_second_per_gpu, 1543, kClose, "tokens/s");
  expect_within(v3.flops_per_second_per_gpu, 386.5e12, kClose, "rate");
  expect_within(v3.mfu, 0.391, kRounded, "utilisation");
  expect_within(v3.flops_per_second_per_gpu_with_mtp, 401.5e12, kRounded, "rate with MTP");
  expect_within(v3.mfu_with_mtp, 0.406, kRounded, "utilisation with MTP");
  const TrainingCost v2 = cost_of("v2");
  expect_within(v2.flops_per_second_per_gpu, 249.6e12, kClose, "V2's rate");
  expect_within(v2.mfu, 0.252, kRounded, "V2's utilisation");
  EXPECT_FALSE(v2.context_extension_gpu_hours);
  // A given utilisation is the way back.
  PlanInputs inputs;
  inputs.mfu = v3.mfu_with_mtp;
  expect_within(cost_of("v3", inputs).gpu_hours_per_trillion, 180e3, kExact, "hours");
}

TEST(TrainingCost, AnotherModelIsChargedAtTheRateOfTheReference) {
  ModelConfig twice = preset("v3");
  twice.num_hidden_layers = 122;
  const TrainingCost cost = make_plan("config.json", twice, {}).training;
  const double scale =
      train_flops_with_mtp_at(twice, 4096) / train_flops_with_mtp_at(preset("v3"), 4096);
  expect_within(cost.pretraining_gpu_hours, 2664e3 * scale, kExact, "pre-training");
  EXPECT_GT(*cost.context_extension_gpu_hours, 119e3 * scale);  // attention grows with the length
  expect_within(cost.mfu_with_mtp, cost_of("v3").mfu_with_mtp, kExact, "utilisation");
}

TEST(TrainingCost, AConfigOfPublishedSizesHasItsPublishedTokens) {
  const Plan plan = make_plan("some/config.json", preset("v2-lite"), {});
  ASSERT_NE(plan.own, nullptr);
  EXPECT_EQ(plan.training.tokens, 5.7e12);
  EXPECT_STREQ(plan.reference->preset, "v2");
  EXPECT_STREQ(make_plan("x", preset("v3"), {}).own->preset, "v3");
  EXPECT_STREQ(make_plan("r1", preset("r1"), {}).own->preset, "r1");
  // A folder may be called anything.
  EXPECT_STREQ(make_plan("v2", preset("v3"), {}).own->preset, "v3");
  ModelConfig changed = preset("v3");
  changed.head_dim = 64;  // no size of latent attention; some files give it
  EXPECT_STREQ(make_plan("x", changed, {}).own->preset, "v3");
  changed.num_nextn_predict_layers = 0;
  EXPECT_EQ(make_plan("v3", changed, {}).own, nullptr);
}

TEST(TrainingCost, RunsHaveTheTokensOfTheirRecipes) {
  int recipes = 0;
  for (const PublishedRun& run : published_runs()) {
    if (*run.recipe == '\0') continue;
    const Recipe* recipe = find_recipe(run.recipe);
    ASSERT_NE(recipe, nullptr) << run.preset;
    EXPECT_EQ(run.tokens, recipe->tokens) << run.preset;
    EXPECT_EQ(run.sequence_tokens, recipe->sequence_tokens) << run.preset;
    ++recipes;
  }
  EXPECT_EQ(recipes, 7);  // R1's base is V3
}

TEST(TrainingCost, AnotherAcceleratorIsChargedAtTheSameUtilisation) {
  PlanInputs inputs;
  inputs.trained_on = "a100";
  const TrainingCost slow = cost_of("v3", inputs), fast = cost_of("v3");
  expect_within(slow.gpu_hours_per_trillion, fast.gpu_hours_per_trillion * 989.5 / 312, kExact,
                "hours");
  expect_within(slow.mfu, fast.mfu, kExact, "utilisation");
  expect_within(*slow.context_extension_gpu_hours, 119e3 * 989.5 / 312, kExact, "extension");
}

TEST(TrainingCost, InputsThatMakeNoSenseAreRefusedByName) {
  for (const auto& [inputs, flag] :
       {std::pair(PlanInputs{.tokens = -1.0}, "--tokens"),
        std::pair(PlanInputs{.mfu = 1.5}, "--mfu"), std::pair(PlanInputs{.gpus = 0}, "--gpus"),
        std::pair(PlanInputs{.like = "llm-7b"}, "--like")}) {
    try {
      make_plan("v3", preset("v3"), inputs);
      ADD_FAILURE() << flag;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage);
      EXPECT_NE(std::string(error.what()).find(flag), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace fathom
