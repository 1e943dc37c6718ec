#include "app/command_line.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "base/error.h"

namespace fathom {
namespace {

// The command line takes the place of main's: a command that remembers what it was given.
struct Given {
  int64_t count = 3;
  std::string name = "none";
  std::vector<std::string> words;
  bool loud = false;
  int runs = 0;
  std::string error;  // of the command itself

  int parse(std::vector<const char*> arguments) {
    CommandLine line("fathom", "test", "1");
    Command& command = line.add("act", "acts");
    command.option("--count,-n,--number", count, "how many")
        .option("--name", name, "whose")
        .flag("--loud", loud, "loudly")
        .positional("words", words, "what");
    command.on_run([this] {
      if (!error.empty()) fail(ErrorCode::kUsage, error);
      return ++runs, 0;
    });
    arguments.insert(arguments.begin(), "fathom");
    return line.run(static_cast<int>(arguments.size()), arguments.data());
  }
};

TEST(CommandLine, AliasesAndNegativeNumbersAreUnderstood) {
  Given given;
  EXPECT_EQ(given.parse({"act", "a", "--number", "-1", "b", "--loud"}), 0);
  EXPECT_EQ(given.count, -1);
  EXPECT_EQ(given.words, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(given.loud);
  EXPECT_EQ(given.runs, 1);
}

TEST(CommandLine, TextsMayBeginWithADash) {
  Given behind, joined, apart, last;
  EXPECT_EQ(behind.parse({"act", "a", "-n", "4", "--", "-5", "--loud", "--", "-n"}), 0);
  EXPECT_EQ(behind.words, (std::vector<std::string>{"a", "-5", "--loud", "--", "-n"}));
  EXPECT_EQ(behind.count, 4);
  EXPECT_FALSE(behind.loud);
  EXPECT_EQ(joined.parse({"act", "--name=-5"}), 0);
  EXPECT_EQ(joined.name, "-5");
  EXPECT_EQ(apart.parse({"act", "--name", "-5"}), 0);
  EXPECT_EQ(apart.name, "-5");
  EXPECT_EQ(last.parse({"act", "--"}), 0);
  EXPECT_TRUE(last.words.empty());
}

TEST(CommandLine, ATextThatLooksLikeAFlagIsToldWhereToStand) {
  Given given;
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(given.parse({"act", "-x and y"}), 2);
  const std::string errors = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(errors.find("goes behind --: fathom act … -- '-x and y'"), std::string::npos) << errors;
}

TEST(CommandLine, UnknownFlagsNameTheNearestOnes) {
  Given given;
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(given.parse({"act", "--cuont", "3"}), 2);
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("--count"), std::string::npos);
  EXPECT_EQ(given.runs, 0);
}

TEST(CommandLine, UnknownCommandsAndValuesThatAreNoNumberAreUsageErrors) {
  Given given;
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(given.parse({"atc"}), 2);
  EXPECT_EQ(given.parse({"act", "--count", "many"}), 2);
  const std::string errors = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(errors.find("unknown command 'atc'; expected one of act"), std::string::npos) << errors;
  EXPECT_NE(errors.find("--count"), std::string::npos) << errors;
}

TEST(CommandLine, FaultsNameTheFlagAsItWasTyped) {
  const auto told = [](const std::vector<const char*>& arguments) {
    Given given;
    ::testing::internal::CaptureStderr();
    EXPECT_EQ(given.parse(arguments), 2);
    EXPECT_EQ(given.runs, 0);
    const std::string text = ::testing::internal::GetCapturedStderr();
    return text.substr(0, text.find('\n'));
  };
  EXPECT_EQ(told({"act", "-n", "many"}), "fathom: error: -n is 'many'; expected a whole number");
  EXPECT_EQ(told({"act", "--number=many"}),
            "fathom: error: --number is 'many'; expected a whole number");
  EXPECT_EQ(told({"act", "-n1", "-n", "2"}),
            "fathom: error: -n is given 2 times ('1', '2'); expected once. Leave out all but one");
  EXPECT_EQ(told({"act", "--name"}),
            "fathom: error: --name has no value; expected one after it (whose)");
}

TEST(CommandLine, ErrorsOfTheCommandNameTheFlagAsItWasTyped) {
  Given given;
  given.error = "--count is 3 and --count-all 4; expected --count below 3";
  const auto told = [&](const std::vector<const char*>& arguments) -> std::string {
    try {
      given.parse(arguments);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage);
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(told({"act", "-n", "3"}), "-n is 3 and --count-all 4; expected -n below 3");
  EXPECT_EQ(told({"act", "--count", "3"}), given.error);
  setenv("FATHOM_COUNT", "3", 1);
  EXPECT_EQ(told({"act"}), "FATHOM_COUNT is 3 and --count-all 4; expected FATHOM_COUNT below 3");
  unsetenv("FATHOM_COUNT");
}

TEST(CommandLine, AFlagMayComeFromTheEnvironmentAndTheCommandLineWins) {
  setenv("FATHOM_COUNT", "8", 1);
  Given from_environment, from_both;
  EXPECT_EQ(from_environment.parse({"act"}), 0);
  EXPECT_EQ(from_both.parse({"act", "-n", "9"}), 0);
  unsetenv("FATHOM_COUNT");
  EXPECT_EQ(from_environment.count, 8);
  EXPECT_EQ(from_both.count, 9);
}

}  // namespace
}  // namespace fathom
