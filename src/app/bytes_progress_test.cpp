#include "app/bytes_progress.h"

#include <gtest/gtest.h>

#include <sstream>

namespace fathom {
namespace {

constexpr uint64_t kGigabyte = 1'000'000'000;

// What is written while a folder of `total` bytes is read in twenty parts of 50 ms.
std::string written(bool redraws, uint64_t total) {
  std::ostringstream out;
  double now = 100;
  {
    BytesProgressLine line(out, redraws, "loading", "models/v3", [&] { return now; });
    for (uint64_t part = 1; part <= 20; ++part) {
      now += 0.05;
      line.show(part * (total / 20), total);
    }
  }
  return out.str();
}

TEST(BytesProgressLine, IsOnePlainLineWithoutATerminal) {
  EXPECT_EQ(written(false, 2 * kGigabyte), "loading models/v3: 2.0 GB\n");
}

TEST(BytesProgressLine, IsRedrawnAtMostTenTimesASecondAndGoneInTheEnd) {
  const std::string text = written(true, 2 * kGigabyte);
  EXPECT_TRUE(text.starts_with("\r\033[Kloading models/v3: 100.0 MB of 2.0 GB, 2.0 GB/s")) << text;
  EXPECT_NE(text.find("1.0 GB of 2.0 GB"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("\r\033[K")) << text;
  size_t draws = 0;
  for (size_t at = text.find("loading"); at != std::string::npos; at = text.find("loading", at + 1))
    ++draws;
  EXPECT_GE(draws, 5u);
  EXPECT_LE(draws, 11u);
}

TEST(BytesProgressLine, SaysNothingOfSmallFolders) {
  EXPECT_EQ(written(true, kGigabyte / 2), "");
  EXPECT_EQ(written(false, kGigabyte / 2), "");
}

}  // namespace
}  // namespace fathom
