#include "io/files.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "io/testing.h"

namespace fathom {
namespace {

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Runs `work` in a process of its own and kills it there; what it left on disk is what is tested.
template <class Work>
void run_and_kill(Work&& work) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    work();
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
}

TEST(Files, AreReadAsTheyWereWritten) {
  const TemporaryFolder folder;
  std::string content("a\0b\n", 4);
  content.append(100000, 'x');
  write_file_atomically(folder.file("f"), content);
  EXPECT_EQ(read_file(folder.file("f")), content);
  EXPECT_EQ(file_size(folder.file("f")), content.size());
  write_file_atomically(folder.file("f"), "");
  EXPECT_EQ(read_file(folder.file("f")), "");
}

TEST(Files, OfUnknownSizeAreReadToTheEnd) {
  EXPECT_NE(read_file("/proc/self/status").find("Name:"), std::string::npos);
}

TEST(Files, AreReplacedWithoutLeavingOthersBehind) {
  const TemporaryFolder folder;
  write_file_atomically(folder.file("f"), "old");
  write_file_atomically(folder.file("f"), "new");
  EXPECT_EQ(read_file(folder.file("f")), "new");
  EXPECT_EQ(list_directory(folder.path()), std::vector<std::string>{"f"});
}

TEST(Files, KeepTheOldContentWhenReplacingFails) {
  const TemporaryFolder folder;
  make_directories(folder.file("d/inside"));
  EXPECT_NE(
      error_of([&] { write_file_atomically(folder.file("d"), "text"); }).find("renaming onto"),
      std::string::npos);
  EXPECT_EQ(list_directory(folder.path()), std::vector<std::string>{"d"});
}

TEST(Files, NameThePathAndTheReasonOfAFailure) {
  for (const std::string& message :
       {error_of([] { read_file("/nowhere/f"); }),
        error_of([] { write_file_atomically("/nowhere/f", ""); }),
        error_of([] { list_directory("/nowhere"); }), error_of([] { file_size("/nowhere"); }),
        error_of([] { MappedFile("/nowhere/f"); }), error_of([] { FileLock("/nowhere/f"); }),
        error_of([] { publish_directory("/nowhere", "/there"); })}) {
    EXPECT_NE(message.find("/nowhere"), std::string::npos) << message;
  }
  EXPECT_EQ(error_of([] { read_file("/nowhere/f"); }),
            "opening /nowhere/f: No such file or directory");
  EXPECT_NE(error_of([] { read_file("/tmp"); }), "");
  EXPECT_NE(error_of([] { MappedFile("/tmp"); }).find("Is a directory"), std::string::npos);
  EXPECT_NE(error_of([] { make_directories("/proc/self/status/x"); }), "");
}

TEST(Files, AreListedInOrderAndRemovedWithTheirFolder) {
  const TemporaryFolder folder;
  make_directories(folder.file("a/b/c"));
  make_directories(folder.file("a/b/c"));
  write_file_atomically(folder.file("a/z"), "1");
  write_file_atomically(folder.file("a/c"), "2");
  EXPECT_EQ(list_directory(folder.file("a")), (std::vector<std::string>{"b", "c", "z"}));
  EXPECT_TRUE(is_directory(folder.file("a/b")));
  EXPECT_FALSE(is_directory(folder.file("a/z")));
  remove_all(folder.file("a"));
  EXPECT_FALSE(exists(folder.file("a")));
  remove_all(folder.file("a"));
}

TEST(JoinPath, PutsOneSlashBetween) {
  EXPECT_EQ(join_path("a", "b"), "a/b");
  EXPECT_EQ(join_path("a/", "b"), "a/b");
  EXPECT_EQ(join_path("", "b"), "b");
  EXPECT_EQ(join_path("/", "b"), "/b");
}

TEST(OutputFile, TellsThatTheDiskIsFull) {
  const std::string message = error_of([] {
    OutputFile file("/dev/full");
    file.write("text");
  });
  EXPECT_TRUE(message.starts_with("disk full: writing /dev/full: No space left")) << message;
  EXPECT_TRUE(exists("/dev/full")) << "a device must not be removed";
}

TEST(OutputFile, IsRemovedUnlessFinished) {
  const TemporaryFolder folder;
  {
    OutputFile file(folder.file("half"));
    file.write("text");
  }
  EXPECT_FALSE(exists(folder.file("half")));
  OutputFile file(folder.file("whole"));
  file.write("te");
  OutputFile moved(std::move(file));
  moved.write("xt");
  moved.finish();
  EXPECT_EQ(read_file(folder.file("whole")), "text");
  EXPECT_NE(error_of([&] { moved.write("more"); }), "");
  EXPECT_NE(error_of([&] { moved.finish(); }), "");
}

TEST(AppendFile, AddsToWhatIsThere) {
  const TemporaryFolder folder;
  write_file_atomically(folder.file("log"), "one\n");
  AppendFile file(folder.file("log"));
  file.write("two\n");
  AppendFile moved(std::move(file));
  moved.write("three\n");
  EXPECT_EQ(read_file(folder.file("log")), "one\ntwo\nthree\n");
  EXPECT_TRUE(error_of([] { AppendFile("/dev/full").write("x"); }).starts_with("disk full"));
  EXPECT_NE(error_of([] { AppendFile("/nowhere/log"); }), "");
}

TEST(AppendFile, LeavesNothingOfAPieceThatDidNotFit) {
  const TemporaryFolder folder;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {  // a limit on file size stands for a disk that fills in the middle of a piece
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {6, 6};
    AppendFile file(folder.file("log"));
    file.write("one\n");
    ::setrlimit(RLIMIT_FSIZE, &limit);
    ::_exit(error_of([&] { file.write("two\n"); }).find("File too large") != std::string::npos ? 0
                                                                                               : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read_file(folder.file("log")), "one\n");
}

TEST(MappedFile, ShowsTheBytesOfTheFile) {
  const TemporaryFolder folder;
  write_file_atomically(folder.file("f"), "0123456789");
  const MappedFile file(folder.file("f"));
  EXPECT_EQ(file.size(), 10u);
  EXPECT_EQ(text_of(file.bytes()), "0123456789");
  EXPECT_EQ(text_of(file.bytes(3, 5)), "34");
  EXPECT_EQ(text_of(file.bytes(10, 10)), "");
}

TEST(MappedFile, OutlivesItsOldHandleWhenMoved) {
  const TemporaryFolder folder;
  write_file_atomically(folder.file("f"), "abc");
  std::vector<MappedFile> files;
  files.emplace_back(folder.file("f"));
  files.emplace_back(folder.file("f"));  // moves the first
  EXPECT_EQ(text_of(files[0].bytes()), "abc");
}

TEST(MappedFile, MayBeEmpty) {
  const TemporaryFolder folder;
  write_file_atomically(folder.file("f"), "");
  EXPECT_EQ(MappedFile(folder.file("f")).bytes().size(), 0u);
}

TEST(MappedFile, RefusesARangeOutsideTheFile) {
  const TemporaryFolder folder;
  write_file_atomically(folder.file("f"), "0123456789");
  const MappedFile file(folder.file("f"));
  EXPECT_NE(error_of([&] { file.bytes(0, 11); }).find("bytes 0 to 11 asked of a file of 10"),
            std::string::npos);
  EXPECT_NE(error_of([&] { file.bytes(5, 4); }), "");
  EXPECT_NE(error_of([&] { file.bytes(UINT64_MAX, UINT64_MAX); }), "");
}

TEST(MappedFile, NoticesThatTheFileWasCutShortInsteadOfCrashing) {
  const TemporaryFolder folder;
  write_file_atomically(folder.file("f"), std::string(20000, 'x'));
  const MappedFile file(folder.file("f"));
  ASSERT_EQ(::truncate(folder.file("f").c_str(), 5000), 0);
  EXPECT_NE(error_of([&] { file.bytes(0, 20000); }).find("was cut from 20000 to 5000"),
            std::string::npos);
  EXPECT_EQ(file.bytes(0, 5000).size(), 5000u);
}

TEST(FileLock, KeepsASecondHolderOutAndNamesTheFirst) {
  const TemporaryFolder folder;
  {
    const FileLock lock(folder.file("lock"));
    const std::string message = error_of([&] { FileLock second(folder.file("lock")); });
    EXPECT_NE(message.find(concat("in use by process ", ::getpid())), std::string::npos) << message;
    FileLock moved = FileLock(folder.file("other"));
    const FileLock again(std::move(moved));
    EXPECT_NE(error_of([&] { FileLock second(folder.file("other")); }), "");
  }
  EXPECT_EQ(error_of([&] { FileLock third(folder.file("lock")); }), "");
}

TEST(FileLock, EndsWithAKilledHolder) {
  const TemporaryFolder folder;
  run_and_kill([&] { new FileLock(folder.file("lock")); });
  EXPECT_EQ(error_of([&] { FileLock lock(folder.file("lock")); }), "");
}

TEST(PublishDirectory, MovesTheWholeTree) {
  const TemporaryFolder folder;
  make_directories(folder.file("tmp/sub"));
  write_file_atomically(folder.file("tmp/a"), "1");
  write_file_atomically(folder.file("tmp/sub/b"), "2");
  publish_directory(folder.file("tmp"), folder.file("final"));
  EXPECT_EQ(list_directory(folder.path()), std::vector<std::string>{"final"});
  EXPECT_EQ(read_file(folder.file("final/sub/b")), "2");
}

TEST(PublishDirectory, ReplacesAnOlderFolder) {
  const TemporaryFolder folder;
  make_directories(folder.file("final"));
  write_file_atomically(folder.file("final/old"), "old");
  make_directories(folder.file("tmp"));
  write_file_atomically(folder.file("tmp/new"), "new");
  publish_directory(folder.file("tmp"), folder.file("final"));
  EXPECT_EQ(list_directory(folder.path()), std::vector<std::string>{"final"});
  EXPECT_EQ(list_directory(folder.file("final")), std::vector<std::string>{"new"});
}

TEST(WriteDirectory, LeavesAllOrNothing) {
  const TemporaryFolder folder;
  const auto write_one = [](const std::string& into) {
    EXPECT_TRUE(list_directory(into).empty());
    write_file_atomically(join_path(into, "a"), "1");
  };
  make_directories(folder.file(".writing-final"));
  write_file_atomically(folder.file(".writing-final/leftover"), "of a killed writer");
  write_directory(folder.file("final/"), write_one);
  EXPECT_EQ(list_directory(folder.path()), std::vector<std::string>{"final"});
  EXPECT_EQ(list_directory(folder.file("final")), std::vector<std::string>{"a"});

  const auto write_and_fail = [&](const std::string& into) {
    write_one(into);
    write_file_atomically(join_path(into, "nowhere/b"), "2");
  };
  EXPECT_NE(error_of([&] { write_directory(folder.file("final"), write_and_fail); }), "");
  EXPECT_NE(error_of([&] { write_directory(folder.file("other"), write_and_fail); }), "");
  EXPECT_EQ(list_directory(folder.path()), std::vector<std::string>{"final"});
  EXPECT_EQ(read_file(folder.file("final/a")), "1");
}

// A writer killed after any number of files has published nothing; the next one succeeds over its
// leftovers.
TEST(PublishDirectory, LeavesNothingOfAKilledWriter) {
  const TemporaryFolder folder;
  const auto write_files = [&](int count) {
    remove_all(folder.file("tmp"));
    make_directories(folder.file("tmp"));
    for (int i = 0; i < count; ++i) write_file_atomically(folder.file(concat("tmp/", i)), "x");
  };
  for (int written = 0; written <= 3; ++written) {
    run_and_kill([&] {
      write_files(written);
      OutputFile half(folder.file("tmp/half"));
      half.write("not all");
      ::raise(SIGKILL);
    });
    EXPECT_FALSE(exists(folder.file("final")));
    EXPECT_TRUE(exists(folder.file("tmp/half")));
  }
  write_files(3);
  publish_directory(folder.file("tmp"), folder.file("final"));
  EXPECT_EQ(list_directory(folder.file("final")), (std::vector<std::string>{"0", "1", "2"}));
}

TEST(WriteDirectory, RefusesAFolderThatAnotherIsWriting) {
  const TemporaryFolder folder;
  const std::string target = folder.file("model");
  std::string second;
  write_directory(target, [&](const std::string& place) {
    write_file_atomically(join_path(place, "a"), "first");
    second = error_of([&] {
      write_directory(target, [&](const std::string& other) {
        write_file_atomically(join_path(other, "b"), "second");
      });
    });
  });
  EXPECT_NE(second.find("is being written by another process"), std::string::npos) << second;
  EXPECT_EQ(list_directory(target), std::vector<std::string>{"a"});
  EXPECT_EQ(list_directory(folder.path()).size(), 1u);
  // Afterwards it is free again.
  write_directory(target, [&](const std::string& place) {
    write_file_atomically(join_path(place, "c"), "third");
  });
  EXPECT_EQ(list_directory(target), std::vector<std::string>{"c"});
}

TEST(WriteDirectory, RefusesALinkToNothingBeforeItWrites) {
  const TemporaryFolder folder;
  std::filesystem::create_symlink("/nowhere/at/all", folder.file("out"));
  bool wrote = false;
  const std::string error = error_of(
      [&] { write_directory(folder.file("out"), [&](const std::string&) { wrote = true; }); });
  EXPECT_NE(error.find("is a link to nothing"), std::string::npos) << error;
  EXPECT_FALSE(wrote);
}

}  // namespace
}  // namespace fathom
