#include "base/team.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <thread>
#include <vector>

namespace fathom {
namespace {

TEST(Team, DoesEveryTaskOnceInManyLoops) {
  set_team_size(3);
  for (int64_t tasks : {0, 1, 2, 7, 100}) {
    for (int round = 0; round < 500; ++round) {
      std::vector<std::atomic<int>> counts(static_cast<size_t>(tasks));
      share_tasks(tasks, [&](int64_t task, int member) {
        ASSERT_GE(member, 0);
        ASSERT_LT(member, 3);
        ++counts[static_cast<size_t>(task)];
      });
      for (const std::atomic<int>& count : counts) ASSERT_EQ(count, 1);
    }
  }
}

// Loops of different lengths in close succession: a helper that is late for one must not claim from
// the next by mistake.
TEST(Team, KeepsNeighbouringLoopsApart) {
  set_team_size(4);
  for (int round = 0; round < 200000; ++round) {
    const int64_t tasks = 2 + round % 7;
    std::atomic<int64_t> sum{0};
    share_tasks(tasks, [&](int64_t task, int) { sum += task + 1; });
    ASSERT_EQ(sum, tasks * (tasks + 1) / 2) << "round " << round;
  }
}

TEST(Team, WakesSleepingHelpers) {
  set_team_size(2);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // long past the spinning
    std::atomic<int64_t> sum{0};
    share_tasks(64, [&](int64_t task, int) { sum += task; });
    ASSERT_EQ(sum, 64 * 63 / 2);
  }
}

TEST(Team, RunsInnerLoopsOnTheSameThread) {
  set_team_size(2);
  std::atomic<int> inner{0};
  share_tasks(4, [&](int64_t, int) { share_tasks(5, [&](int64_t, int) { ++inner; }); });
  EXPECT_EQ(inner, 20);
}

TEST(Team, ServesASecondThreadMeanwhile) {
  set_team_size(2);
  std::atomic<int64_t> sum{0};
  const auto work = [&] {
    for (int round = 0; round < 200; ++round)
      share_tasks(16, [&](int64_t task, int) { sum += task; });
  };
  std::thread other(work);
  work();
  other.join();
  EXPECT_EQ(sum, 2 * 200 * 120);
}

TEST(Team, ChangesItsSize) {
  for (int size : {1, 4, 2, 1}) {
    set_team_size(size);
    EXPECT_EQ(team_size(), size);
    std::atomic<int> done{0};
    share_tasks(10, [&](int64_t, int) { ++done; });
    EXPECT_EQ(done, 10);
  }
  set_team_size(available_processors());
}

}  // namespace
}  // namespace fathom
