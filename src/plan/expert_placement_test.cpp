#include "plan/expert_placement.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace fathom {
namespace {

using Slots = std::vector<int64_t>;
const std::vector<double> kFirst = {90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86};
const std::vector<double> kSecond = {20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27};

// The example of the published program.
TEST(ExpertPlacement, IsThatOfThePublishedExample) {
  const PlacementShape shape = {16, 4, 2, 8};
  EXPECT_EQ(place_experts(kFirst, shape).physical_to_logical,
            (Slots{5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1}));
  EXPECT_EQ(place_experts(kSecond, shape).physical_to_logical,
            (Slots{7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1}));
}

TEST(ExpertPlacement, ListsAndCountsAreTheSameMap) {
  const ExpertPlacement placement = place_experts(kFirst, {16, 4, 2, 8});
  EXPECT_EQ(placement.replica_counts, (Slots{1, 2, 1, 1, 2, 2, 1, 1, 1, 1, 2, 1}));
  EXPECT_EQ(placement.logical_to_physical[5], (Slots{0, 2}));
  for (size_t expert = 0; expert < kFirst.size(); ++expert)
    for (const int64_t slot : placement.logical_to_physical[expert])
      EXPECT_EQ(placement.physical_to_logical[static_cast<size_t>(slot)],
                static_cast<int64_t>(expert));
}

TEST(ExpertPlacement, BalancesBetterThanTheOrder) {
  const ExpertPlacement placed = place_experts(kSecond, {16, 4, 2, 8});
  // The busiest GPU holds half of expert 6 and half of 8 (or the like): 179.5 of 1156 / 8.
  double most = 0;
  for (size_t gpu = 0; gpu < 8; ++gpu) {
    double load = 0;
    for (size_t i = 2 * gpu; i < 2 * gpu + 2; ++i) {
      const size_t expert = static_cast<size_t>(placed.physical_to_logical[i]);
      load += kSecond[expert] / static_cast<double>(placed.replica_counts[expert]);
    }
    most = std::max(most, load);
  }
  EXPECT_DOUBLE_EQ(placed.imbalance, most * 8 / 1156);
  EXPECT_LT(placed.imbalance, imbalance_in_order(kSecond, 4));
}

TEST(ExpertPlacement, EqualLoadsGoToTheLowerIndex) {
  const std::vector<double> equal(4, 1.0);
  const ExpertPlacement placement = place_experts(equal, {6, 1, 1, 2});
  EXPECT_EQ(placement.replica_counts, (Slots{2, 2, 1, 1}));
  EXPECT_EQ(place_experts(equal, {4, 1, 1, 4}).physical_to_logical, (Slots{0, 1, 2, 3}));
  EXPECT_EQ(place_experts(equal, {4, 1, 1, 4}).imbalance, 1);
}

TEST(ExpertPlacement, GroupsThatDoNotDivideOverNodesAreForgotten) {
  const PlacementShape uneven = {16, 3, 2, 8}, whole = {16, 1, 1, 8};
  EXPECT_EQ(place_experts(kFirst, uneven).physical_to_logical,
            place_experts(kFirst, whole).physical_to_logical);
}

TEST(ExpertPlacement, ShapesThatDoNotFitAreRefused) {
  EXPECT_THROW(place_experts(kFirst, {8, 1, 1, 8}), Error);
  EXPECT_THROW(place_experts(kFirst, {16, 5, 1, 8}), Error);
  EXPECT_THROW(place_experts(kFirst, {16, 4, 2, 5}), Error);
  EXPECT_THROW(place_experts(std::vector<double>{1, -1}, {2, 1, 1, 1}), Error);
}

}  // namespace
}  // namespace fathom
