#include "generate/share_passes.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace fathom {
namespace {

class SharePasses : public ::testing::Test {
 protected:
  SharePasses() : before_(team_size()) { set_team_size(3); }
  ~SharePasses() override { set_team_size(before_); }

 private:
  int before_;
};

TEST_F(SharePasses, RangesFollowOneAnotherAndAreNearlyEqualInTokens) {
  const std::vector<std::vector<int64_t>> cases = {std::vector<int64_t>(13, 1),
                                                   {1000, 1, 1, 1, 1, 1, 1, 1},
                                                   {1, 1, 1, 1, 1, 1, 1, 1000},
                                                   {7, 3, 9, 1, 1, 30, 2, 5, 8, 8}};
  for (const std::vector<int64_t>& tokens : cases) {
    const std::vector<RowRange> ranges = ranges_for_threads(tokens, 2);
    const int64_t total = std::accumulate(tokens.begin(), tokens.end(), int64_t{0});
    const int64_t longest = *std::max_element(tokens.begin(), tokens.end());
    size_t next = 0;
    EXPECT_LE(ranges.size(), 3u);
    for (const auto& [begin, end] : ranges) {
      EXPECT_EQ(begin, next);
      EXPECT_LT(begin, end);
      next = end;
      const int64_t sum =
          std::accumulate(tokens.begin() + static_cast<std::ptrdiff_t>(begin),
                          tokens.begin() + static_cast<std::ptrdiff_t>(end), int64_t{0});
      EXPECT_LE(sum, total / 3 + longest + 1);
    }
    EXPECT_EQ(next, tokens.size());
  }
}

TEST_F(SharePasses, FewSequencesStayTogether) {
  const std::vector<int64_t> tokens(7, 5);
  EXPECT_EQ(ranges_for_threads(tokens, 4).size(), 1u);
  EXPECT_EQ(ranges_for_threads(tokens, 3).size(), 2u);
  EXPECT_EQ(ranges_for_threads(tokens, 1).size(), 3u);
}

TEST_F(SharePasses, GivesEachResultAndThrowsWhatFailed) {
  const std::vector<RowRange> ranges = {{0, 4}, {4, 5}, {5, 9}};
  const auto sizes = share_passes(ranges, [](size_t begin, size_t end) { return end - begin; });
  EXPECT_EQ(sizes, (std::vector<size_t>{4, 1, 4}));
  const auto fails = [](size_t begin, size_t) -> int {
    if (begin > 0) throw std::runtime_error(begin == 4 ? "second" : "third");
    return 0;
  };
  try {
    share_passes(ranges, fails);
    FAIL() << "nothing was thrown";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "second");
  }
}

}  // namespace
}  // namespace fathom
