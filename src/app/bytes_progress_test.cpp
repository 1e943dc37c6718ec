#include "app/bytes_progress.h"

#include <gtest/gtest.h>

#include <sstream>

#include "io/json.h"

namespace fathom {
namespace {

constexpr uint64_t kGigabyte = 1'000'000'000;

// What is written while a folder of `total` bytes is read in twenty parts of 50 ms.
std::string written(ProgressStyle style, uint64_t total,
                    uint64_t least = BytesProgressLine::kLargeBytes) {
  std::ostringstream out;
  double now = 100;
  {
    BytesProgressLine line(out, style, least, "loading", "models/v3", [&] { return now; });
    for (uint64_t part = 1; part <= 20; ++part) {
      now += 0.05;
      line.show(part * (total / 20), total);
    }
  }
  return out.str();
}

size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(BytesProgressLine, IsALineForEachTenthWithoutATerminal) {
  const std::string text = written(ProgressStyle::kLines, 2 * kGigabyte);
  EXPECT_TRUE(text.starts_with("loading models/v3: 0 % of 2.0 GB\n")) << text;
  EXPECT_TRUE(text.ends_with("loading models/v3: 100 % of 2.0 GB\n")) << text;
  EXPECT_EQ(count_of(text, "\n"), 11u) << text;
}

TEST(BytesProgressLine, IsRedrawnAtMostTenTimesASecondAndGoneInTheEnd) {
  const std::string text = written(ProgressStyle::kRedrawn, 2 * kGigabyte);
  EXPECT_TRUE(text.starts_with("\r\033[Kloading models/v3: 100.0 MB of 2.0 GB, 2.0 GB/s, "))
      << text;
  EXPECT_NE(text.find("1.0 GB of 2.0 GB"), std::string::npos) << text;
  EXPECT_NE(text.find(" left"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("\r\033[K")) << text;
  EXPECT_GE(count_of(text, "loading"), 5u);
  EXPECT_LE(count_of(text, "loading"), 11u);
}

TEST(BytesProgressLine, IsJsonWhereAskedFor) {
  const std::string text = written(ProgressStyle::kJson, 2 * kGigabyte);
  const Json first = parse_json(text.substr(0, text.find('\n')), "test");
  EXPECT_EQ(first.string_at("event"), "loading");
  EXPECT_EQ(first.int_at("bytes_done"), 100'000'000);
  EXPECT_EQ(count_of(text, "\n"), 11u) << text;
}

TEST(BytesProgressLine, SaysNothingOfSmallFoldersOrWhereUnwanted) {
  EXPECT_EQ(written(ProgressStyle::kRedrawn, kGigabyte / 2), "");
  EXPECT_EQ(written(ProgressStyle::kLines, kGigabyte / 2), "");
  EXPECT_NE(written(ProgressStyle::kLines, kGigabyte / 2, 0), "");
  EXPECT_EQ(written(ProgressStyle::kNone, 2 * kGigabyte), "");
}

}  // namespace
}  // namespace fathom
