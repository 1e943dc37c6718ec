#include "app/reply_printer.h"

#include <gtest/gtest.h>

#include "text/tokenizer_presets.h"

namespace fathom {
namespace {

struct ReplyPrinterTest : ::testing::Test {
  Tokenizer tokenizer = character_tokenizer("0123+=");
  ControlIds control = tokenizer.control();

  int32_t id(const char* character) { return tokenizer.encode(character).front(); }
  // What reaches standard output, and the reply that is kept.
  std::string print(const std::vector<int32_t>& ids, bool opened_think, bool ended,
                    ThinkingStyle style = ThinkingStyle::kDropped) {
    ReplyPrinter printer(tokenizer, {.opened_think = opened_think}, style);
    ::testing::internal::CaptureStdout();
    for (const int32_t token : ids) printer.push(token);
    printer.finish(ended);
    reply = printer.reply();
    return ::testing::internal::GetCapturedStdout();
  }

  Reply reply;
};

TEST_F(ReplyPrinterTest, AnswersArePrintedAndThinkingIsNot) {
  EXPECT_EQ(print({*control.think, id("1"), *control.end_think, id("2")}, false, true), "2");
  EXPECT_EQ(reply.text.reasoning, "1");
  EXPECT_TRUE(reply.think_closed);
  EXPECT_EQ(print({id("1"), *control.end_think, id("2"), id("3")}, true, true), "23");
}

TEST_F(ReplyPrinterTest, ThinkingStandsBetweenMarkersOnATerminal) {
  const std::string text =
      print({id("1"), *control.end_think, id("2")}, true, true, ThinkingStyle::kPlain);
  EXPECT_TRUE(text.starts_with("Thinking…\n1\n…done (1 tokens, ")) << text;
  EXPECT_TRUE(text.ends_with(")\n2")) << text;
  const std::string dimmed =
      print({id("1"), *control.end_think, id("2")}, true, true, ThinkingStyle::kDimmed);
  EXPECT_NE(dimmed.find("\033[2m1\033[0m"), std::string::npos) << dimmed;
  EXPECT_TRUE(dimmed.ends_with("\033[0m2")) << dimmed;
}

TEST_F(ReplyPrinterTest, HiddenThinkingIsCountedAndGoneInTheEnd) {
  const std::string text =
      print({id("1"), *control.end_think, id("2")}, true, true, ThinkingStyle::kCounted);
  EXPECT_EQ(text, "\r\033[K\033[2mThinking… 0 tokens\033[0m\r\033[K2");
}

TEST_F(ReplyPrinterTest, FormTokensAndStrayThinkMarksAreNotText) {
  EXPECT_EQ(print({id("1"), *control.user, *control.bos, *control.pad, *control.think, id("2"),
                   *control.end_think, *control.assistant, id("3")},
                  false, true),
            "123");
  EXPECT_EQ(print({id("1"), *control.think, id("2"), *control.end_think, id("3")}, true, true),
            "3");
  EXPECT_EQ(reply.text.reasoning, "12");
}

TEST_F(ReplyPrinterTest, AnEndedReplyThatNeverClosedItsThinkingWasTheAnswer) {
  EXPECT_EQ(print({id("1"), id("2")}, true, true), "12");
  EXPECT_EQ(reply.text.answer, "12");
  EXPECT_FALSE(reply.reasoned);
  EXPECT_EQ(print({id("1"), id("2")}, true, false), "");  // cut off: it is still thinking
  EXPECT_EQ(reply.text.reasoning, "12");
}

}  // namespace
}  // namespace fathom
