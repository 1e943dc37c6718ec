#include "app/inputs.h"

#include <gtest/gtest.h>

#include "io/testing.h"
#include "text/tokenizer_presets.h"

namespace fathom {
namespace {

TEST(Ids, AreReadFromAnObjectAndFromABareList) {
  EXPECT_EQ(parse_ids("{\"ids\": [1, 2, 3]}", "f"), (std::vector<int32_t>{1, 2, 3}));
  EXPECT_EQ(parse_ids(" [7]", "f"), (std::vector<int32_t>{7}));
  EXPECT_TRUE(parse_ids("[]", "f").empty());
}

TEST(Ids, FaultsNameTheFileAndThePlace) {
  EXPECT_NE(error_of([] { parse_ids("[1, -2]", "f.json"); }).find("f.json: ids[1] is -2"),
            std::string::npos);
  EXPECT_NE(error_of([] { parse_ids("[1, 2147483648]", "f.json"); }).find("ids[1] is 2147483648"),
            std::string::npos);
  EXPECT_NE(error_of([] { parse_ids("{\"id\": [1]}", "f.json"); }).find("ids"), std::string::npos);
  EXPECT_NE(error_of([] { parse_ids("[1, \"x\"]", "f.json"); }).find("ids[1]"), std::string::npos);
  try {
    parse_ids("[1", "f.json");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
  }
}

TEST(Messages, AreReadFromAListAndFromAnObject) {
  const char* list =
      R"([{"role": "developer", "content": "be brief"}, {"role": "user", "content": "hi"}])";
  const std::vector<Message> messages = parse_messages(list, "m");
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].role, "system");
  EXPECT_EQ(messages[1].content, "hi");
  EXPECT_EQ(parse_messages(concat("{\"messages\": ", list, "}"), "m").size(), 2u);
}

TEST(Messages, PartsOfContentAreJoinedAndNullIsEmpty) {
  const std::vector<Message> messages = parse_messages(
      R"([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
          {"role": "assistant", "content": null, "reasoning_content": "why"}])",
      "m");
  EXPECT_EQ(messages[0].content, "ab");
  EXPECT_EQ(messages[1].content, "");
  EXPECT_EQ(messages[1].reasoning_content, "why");
}

TEST(Messages, FaultsNameTheMessage) {
  const auto fault = [](const char* text) {
    return error_of([&] { parse_messages(text, "m.json"); });
  };
  EXPECT_NE(fault(R"([{"role": "user", "content": "x"}, {"role": "robot", "content": "x"}])")
                .find("messages[1].role is 'robot'"),
            std::string::npos);
  EXPECT_NE(fault(R"([{"content": "x"}])").find("m.json: messages[0]"), std::string::npos);
  EXPECT_NE(fault(R"([{"role": "user", "content": 5}])").find("messages[0].content"),
            std::string::npos);
  EXPECT_NE(fault(R"([{"role": "user", "content": [{"type": "image_url"}]}])").find("image_url"),
            std::string::npos);
  EXPECT_NE(fault("[]").find("empty"), std::string::npos);
}

TEST(Inputs, OneFinalLineEndIsDropped) {
  EXPECT_EQ(without_final_newline("a\n\n"), "a\n");
  EXPECT_EQ(without_final_newline("a\r\n"), "a");
  EXPECT_EQ(without_final_newline("a"), "a");
  EXPECT_EQ(without_final_newline(""), "");
}

TEST(Inputs, UnknownCharactersAreNamedAsTheUsersFault) {
  const Tokenizer digits = character_tokenizer("0123");
  try {
    encode_text(digits, "1x2é");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_NE(std::string(error.what()).find("'x'"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("'é'"), std::string::npos);
  }
}

}  // namespace
}  // namespace fathom
