#include "io/folder_claim.h"

#include <gtest/gtest.h>

#include "io/testing.h"

namespace fathom {
namespace {

TEST(FolderClaim, LeavesNothingBehindUnlessItIsKept) {
  const TemporaryFolder folder;
  const std::string outer = folder.file("runs"), inner = join_path(outer, "a/");
  { const FolderClaim given_up(inner, "run.lock"); }
  EXPECT_FALSE(exists(outer));
  {
    FolderClaim kept(inner, "run.lock");
    kept.keep();
  }
  EXPECT_TRUE(exists(join_path(inner, "run.lock")));
  // The lock of an earlier run is not this claim's to remove.
  { const FolderClaim again(inner, "run.lock"); }
  EXPECT_TRUE(exists(join_path(inner, "run.lock")));
}

TEST(FolderClaim, KeepsWhatElseIsThere) {
  const TemporaryFolder folder;
  const std::string mine = folder.file("mine");
  {
    const FolderClaim claim(mine, "run.lock");
    write_file_atomically(join_path(mine, "notes.txt"), "a");
  }
  EXPECT_EQ(list_directory(mine), std::vector<std::string>{"notes.txt"});
}

TEST(FolderClaim, OneHolderAtATime) {
  const TemporaryFolder folder;
  const FolderClaim first(folder.path(), "run.lock");
  EXPECT_NE(error_of([&] { const FolderClaim second(folder.path(), "run.lock"); }).find("in use"),
            std::string::npos);
  EXPECT_TRUE(exists(folder.file("run.lock")));
}

TEST(FolderClaim, ALockWhoseFileWasRemovedIsTakenAnew) {
  const TemporaryFolder folder;
  FileLock first(folder.file("run.lock"));
  first.remove_file();
  const FileLock second(folder.file("run.lock"));  // another file; the first lock is of no one
  EXPECT_TRUE(exists(folder.file("run.lock")));
}

}  // namespace
}  // namespace fathom
