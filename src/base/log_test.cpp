#include "base/log.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace fathom {
namespace {

// Collects lines while it lives and puts the sink and level back afterwards.
class Captured {
 public:
  explicit Captured(LogLevel level) : level_(set_log_level(level)) {
    sink_ = set_log_sink(
        [this](LogLevel at, const std::string& line) { lines.emplace_back(at, line); });
  }
  ~Captured() {
    set_log_sink(std::move(sink_));
    set_log_level(level_);
  }
  std::vector<std::pair<LogLevel, std::string>> lines;

 private:
  LogLevel level_;
  LogSink sink_;
};

TEST(Log, JoinsPartsIntoOneLine) {
  Captured captured(LogLevel::kInfo);
  log_info("step ", 3, " loss ", 1.5);
  ASSERT_EQ(captured.lines.size(), 1u);
  EXPECT_EQ(captured.lines[0].first, LogLevel::kInfo);
  EXPECT_EQ(captured.lines[0].second, "step 3 loss 1.5");
}

TEST(Log, LevelHidesWhatLiesBelow) {
  Captured captured(LogLevel::kWarning);
  log_info("unseen");
  log_warning("seen");
  set_log_level(LogLevel::kSilent);
  log_warning("unseen");
  ASSERT_EQ(captured.lines.size(), 1u);
  EXPECT_EQ(captured.lines[0].second, "seen");
}

TEST(Log, WritesToStandardErrorByDefaultAndMarksWarnings) {
  testing::internal::CaptureStderr();
  log_info("plain");
  log_warning("careful");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "plain\nwarning: careful\n");
}

TEST(Log, LinesOfManyThreadsArriveWhole) {
  Captured captured(LogLevel::kInfo);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 100; ++i) log_info("line ", i);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(captured.lines.size(), 400u);
}

}  // namespace
}  // namespace fathom
