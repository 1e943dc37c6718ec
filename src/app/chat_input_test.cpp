#include "app/chat_input.h"

#include <gtest/gtest.h>

namespace fathom {
namespace {

TEST(MessageLines, OneLineIsAMessage) {
  MessageLines lines;
  EXPECT_EQ(lines.add("hello"), "hello");
  EXPECT_FALSE(lines.open());
}

TEST(MessageLines, ABackslashAtTheEndContinues) {
  MessageLines lines;
  EXPECT_FALSE(lines.add("a\\").has_value());
  EXPECT_TRUE(lines.open());
  EXPECT_EQ(lines.add("b"), "a\nb");
}

TEST(MessageLines, TripleQuotesHoldLinesAsTheyAre) {
  MessageLines lines;
  EXPECT_FALSE(lines.add("\"\"\"").has_value());
  EXPECT_FALSE(lines.add("a\\").has_value());
  EXPECT_FALSE(lines.add("").has_value());
  EXPECT_EQ(lines.add("\"\"\""), "a\\\n");
  EXPECT_EQ(lines.add("\"\"\"one line\"\"\""), "one line");
  EXPECT_FALSE(lines.add("\"\"\"x").has_value());
  EXPECT_EQ(lines.add("y\"\"\""), "x\ny");
}

TEST(MessageLines, TheEndOfInputGivesWhatWasTyped) {
  MessageLines lines;
  EXPECT_FALSE(lines.take_rest().has_value());
  lines.add("a\\");
  EXPECT_EQ(lines.take_rest(), "a\n");
  EXPECT_FALSE(lines.open());
}

TEST(ChatCommand, IsASlashAWordAndTheRest) {
  const auto command = parse_chat_command("/set  parameter temp 0.5 ");
  ASSERT_TRUE(command.has_value());
  EXPECT_EQ(command->name, "set");
  EXPECT_EQ(command->rest, "parameter temp 0.5");
  EXPECT_EQ(parse_chat_command("/bye")->name, "bye");
  EXPECT_FALSE(parse_chat_command("1/2").has_value());
  EXPECT_FALSE(parse_chat_command("// a comment").has_value());
}

}  // namespace
}  // namespace fathom
