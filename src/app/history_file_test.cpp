#include "app/history_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "io/testing.h"

namespace fathom {
namespace {

TEST(HistoryFile, GivesBackWhatWasTyped) {
  const TemporaryFolder folder;
  const std::string path = folder.file("deep/er/history");
  const HistoryFile history(path);
  EXPECT_TRUE(history.read(10).empty());
  for (const char* line : {"1+2=?", "two\nlines", "back\\slash\\n", " "}) history.append(line);
  EXPECT_EQ(HistoryFile(path).read(10),
            (std::vector<std::string>{"1+2=?", "two\nlines", "back\\slash\\n", " "}));
  EXPECT_EQ(history.read(2), (std::vector<std::string>{"back\\slash\\n", " "}));
  struct stat status {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST(HistoryFile, IsCutWhenItHasGrown) {
  const TemporaryFolder folder;
  const HistoryFile history(folder.file("history"));
  for (int i = 0; i < 8; ++i) history.append(std::to_string(i));
  EXPECT_EQ(history.read(4).size(), 4u);
  EXPECT_EQ(history.read(100), (std::vector<std::string>{"4", "5", "6", "7"}));
}

TEST(HistoryFile, KeepsNothingWhereItMayNotOrCannot) {
  const HistoryFile none(""), nowhere("/proc/nowhere/history");
  none.append("a");
  nowhere.append("a");
  EXPECT_TRUE(none.read(10).empty());
  EXPECT_TRUE(nowhere.read(10).empty());
}

TEST(HistoryFile, StandsWhereTheEnvironmentSays) {
  setenv("XDG_STATE_HOME", "/state", 1);
  unsetenv("FATHOM_NOHISTORY");
  EXPECT_EQ(default_history_path(), "/state/fathom/history");
  setenv("FATHOM_NOHISTORY", "1", 1);
  EXPECT_EQ(default_history_path(), "");
  unsetenv("FATHOM_NOHISTORY");
  unsetenv("XDG_STATE_HOME");
}

}  // namespace
}  // namespace fathom
