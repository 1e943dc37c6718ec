#include "data/shuffle.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

#include "base/error.h"

namespace fathom {
namespace {

TEST(Shuffle, PermutedVisitsEachElementOnce) {
  const RandomKey key{.seed = 7, .purpose = Purpose::kTest};
  for (const uint64_t n : {1, 2, 3, 5, 16, 17, 1000, 4097}) {
    std::set<uint64_t> seen;
    for (uint64_t i = 0; i < n; ++i) {
      const uint64_t element = permuted(key, i, n);
      EXPECT_LT(element, n);
      seen.insert(element);
    }
    EXPECT_EQ(seen.size(), n);
  }
  EXPECT_THROW(permuted(key, 3, 3), Error);
}

TEST(Shuffle, PermutationsDifferByKeyAndLeaveFewElementsInPlace) {
  const RandomKey one{.seed = 1, .purpose = Purpose::kTest}, two{.seed = 2};
  int fixed = 0, same = 0;
  for (uint64_t i = 0; i < 1000; ++i) {
    fixed += permuted(one, i, 1000) == i;
    same += permuted(one, i, 1000) == permuted(two, i, 1000);
  }
  EXPECT_LT(fixed, 10);  // one is expected
  EXPECT_LT(same, 10);
}

TEST(Shuffle, PermutedSpreadsEachElementEvenly) {
  // Where element 0 of 8 lands over many keys: 1000 in each place, give or take five deviations.
  std::vector<int> counts(8);
  for (uint64_t seed = 0; seed < 8000; ++seed) ++counts[permuted({.seed = seed}, 0, 8)];
  for (const int count : counts) EXPECT_NEAR(count, 1000, 150);
}

TEST(Shuffle, EveryPassOfTheWalkVisitsAllInANewOrder) {
  std::vector<uint64_t> passes[2];
  for (uint64_t place = 0; place < 200; ++place) {
    passes[place / 100].push_back(shuffled_element(3, place, 100));
  }
  EXPECT_NE(passes[0], passes[1]);
  for (std::vector<uint64_t>& pass : passes) {
    std::sort(pass.begin(), pass.end());
    for (uint64_t i = 0; i < 100; ++i) EXPECT_EQ(pass[i], i);
  }
}

TEST(Draws, StayInRangeAndRepeat) {
  Draws a({.seed = 1}), b({.seed = 1});
  std::set<int32_t> seen;
  for (int i = 0; i < 200; ++i) {
    const int32_t value = a.between(3, 9);
    EXPECT_EQ(value, b.between(3, 9));
    seen.insert(value);
  }
  EXPECT_EQ(seen, (std::set<int32_t>{3, 4, 5, 6, 7, 8, 9}));
}

}  // namespace
}  // namespace fathom
