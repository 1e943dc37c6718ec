#include "plan/pipeline.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace fathom {
namespace {

TEST(Pipeline, BubblesFollowTheTable) {
  const std::vector<PipelineSchedule> schedules = pipeline_schedules(16, 120);
  ASSERT_EQ(schedules.size(), 4u);
  EXPECT_EQ(schedules[0].bubble, 45);
  EXPECT_EQ(schedules[1].bubble, 15);
  EXPECT_EQ(schedules[2].bubble, 14);
  EXPECT_EQ(schedules[3].bubble, 14);
  EXPECT_EQ(schedules[3].devices, 8);
  EXPECT_EQ(schedules[0].activation_sets, 16);
  EXPECT_EQ(schedules[2].activation_sets, 17);
  EXPECT_EQ(schedules[2].weight_copies, 2);
  EXPECT_DOUBLE_EQ(schedules[0].bubble_share, 45.0 / (45 + 360));
}

TEST(Pipeline, EachTimeCountsWhereTheFormulaHasIt) {
  const std::vector<PipelineSchedule> schedules = pipeline_schedules(
      4, 8, {.forward = 10, .backward = 300, .weight_gradient = 70, .overlapped_pair = 5000});
  EXPECT_EQ(schedules[0].bubble, 3 * 310);
  EXPECT_EQ(schedules[1].bubble, 3 * (310 - 140));
  EXPECT_EQ(schedules[2].bubble, 5000 + 300 - 210);
}

TEST(Pipeline, OddCountsHaveNoTwoEndedSchedule) {
  EXPECT_EQ(pipeline_schedules(3, 8).size(), 2u);
  EXPECT_EQ(pipeline_schedules(4, 7).size(), 2u);
  EXPECT_EQ(pipeline_schedules(1, 1)[0].bubble, 0);
  EXPECT_THROW(pipeline_schedules(0, 8), Error);
}

}  // namespace
}  // namespace fathom
