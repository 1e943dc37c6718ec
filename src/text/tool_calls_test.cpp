#include "text/tool_calls.h"

#include <gtest/gtest.h>

#include "text/prompt_testing.h"
#include "text/reply_parser.h"

namespace fathom {
namespace {

const std::string kMark(kDsmlToken);
const std::string kOpen = "<" + kMark, kClose = "</" + kMark;
const std::string kBlock = kOpen + "function_calls>", kEndBlock = kClose + "function_calls>";
const std::string kEndParameter = kClose + "parameter>", kEndInvoke = kClose + "invoke>";

std::string invoke(const std::string& name) { return kOpen + "invoke name=\"" + name + "\">"; }
std::string parameter(const std::string& name, bool string) {
  return kOpen + "parameter name=\"" + name + "\" string=\"" + (string ? "true" : "false") + "\">";
}

Tokenizer with_tokens(const std::vector<std::string>& tokens) {
  TokenizerSpec spec = family_tokenizer(TestFamily::kV31).spec();
  int32_t next = spec.added_tokens.back().id + 1;
  for (const std::string& token : tokens) spec.added_tokens.push_back({next++, token, false, true});
  return Tokenizer(std::move(spec));
}

struct ToolCallsTest : ::testing::Test {
  Tokenizer tokenizer = with_tokens({kMark, "<tool_call>", "</tool_call>"});

  // Streamed byte by byte; pieces put together again, and equal to the whole at once.
  ParsedReply parse(const std::string& text, ToolSyntax syntax, ReplyEnd end = ReplyEnd::kEndToken,
                    bool opened_think = false) {
    const ReplyForm form{opened_think, syntax};
    std::vector<int32_t> ids = tokenizer.encode(text, {.parse_special = true});
    if (end == ReplyEnd::kEndToken) ids.push_back(*tokenizer.control().eos);
    ReplyParser parser(tokenizer, form);
    ParsedReply streamed;
    pieces.clear();
    const auto take = [&](const std::vector<ReplyPiece>& more) {
      for (const ReplyPiece& piece : more) {
        EXPECT_FALSE(piece.text.empty());
        append_piece(piece, streamed);
        pieces.push_back(piece);
      }
    };
    for (const int32_t id : ids) take(parser.push(id));
    take(parser.finish());
    const ParsedReply whole = parse_reply(tokenizer, ids, form, end);
    EXPECT_EQ(streamed.content, whole.content);
    EXPECT_EQ(streamed.tool_calls, whole.tool_calls);
    EXPECT_EQ(whole.finish_reason, finish_reason_of(end, whole.tool_calls.size()));
    return whole;
  }

  std::vector<ReplyPiece> pieces;
};

TEST_F(ToolCallsTest, DsmlCallsBecomeJson) {
  const ParsedReply reply =
      parse("I look.\n\n" + kBlock + "\n" + invoke("get_weather") + "\n" + parameter("city", true) +
                "Par\"is\n日" + kEndParameter + "\n" + parameter("days", false) +
                "[1, {\"a\": \"<b>\"}]" + kEndParameter + "\n" + kEndInvoke + "\n" + invoke("now") +
                "\n" + kEndInvoke + "\n" + kEndBlock,
            ToolSyntax::kDsml);
  EXPECT_EQ(reply.content, "I look.");
  EXPECT_EQ(reply.tool_calls,
            (std::vector<ParsedCall>{
                {"get_weather", "{\"city\": \"Par\\\"is\\n日\", \"days\": [1, {\"a\": \"<b>\"}]}"},
                {"now", "{}"}}));
  EXPECT_EQ(reply.finish_reason, "tool_calls");
  EXPECT_FALSE(reply.malformed_call);
}

TEST_F(ToolCallsTest, DsmlOfTheNextGenerationIsTheSameUnderAnotherName) {
  const ParsedReply reply =
      parse(kOpen + "tool_calls>" + invoke("f") + parameter("a", true) + "x<y</z" + kEndParameter +
                kEndInvoke + kClose + "tool_calls>",
            ToolSyntax::kDsml);
  EXPECT_EQ(reply.tool_calls, (std::vector<ParsedCall>{{"f", "{\"a\": \"x<y</z\"}"}}));
}

TEST_F(ToolCallsTest, DsmlArgumentsComeAsTheyArrive) {
  parse(kBlock + invoke("f") + parameter("a", true) + "12345" + kEndParameter + kEndInvoke +
            kEndBlock,
        ToolSyntax::kDsml);
  ASSERT_EQ(pieces.size(), 1u + 1 + 5 + 2);  // name, {"a": ", five, ", }
  EXPECT_EQ(pieces[3].text, "2");
}

TEST_F(ToolCallsTest, ABracketBeforeNoMarkIsText) {
  const ParsedReply reply = parse("a < b and c <", ToolSyntax::kDsml);
  EXPECT_EQ(reply.content, "a < b and c <");
  const ParsedReply spelled = parse_reply(tokenizer, tokenizer.encode(kBlock + "x"),
                                          {false, ToolSyntax::kDsml}, ReplyEnd::kEndToken);
  EXPECT_EQ(spelled.content, kBlock + "x");  // by ordinary tokens
}

TEST_F(ToolCallsTest, ADsmlBlockClosesAnOpenThought) {
  const ParsedReply reply = parse("hm\n\n" + kBlock + invoke("f") + kEndInvoke + kEndBlock,
                                  ToolSyntax::kDsml, ReplyEnd::kEndToken, true);
  EXPECT_EQ(reply.reasoning_content, "hm");
  EXPECT_EQ(reply.tool_calls, (std::vector<ParsedCall>{{"f", "{}"}}));
}

TEST_F(ToolCallsTest, ACutDsmlCallKeepsWhatCame) {
  const ParsedReply reply = parse(kBlock + invoke("f") + parameter("a", true) + "x<",
                                  ToolSyntax::kDsml, ReplyEnd::kMaxTokens);
  EXPECT_EQ(reply.tool_calls, (std::vector<ParsedCall>{{"f", "{\"a\": \"x"}}));
  EXPECT_EQ(reply.finish_reason, "length");
}

TEST_F(ToolCallsTest, MalformedDsmlIsAnswerWithoutItsMarks) {
  for (const std::string& text :
       {kBlock + "no call" + kEndBlock, kBlock + kEndBlock, kOpen + "something>x",
        kBlock + kOpen + "invoke>" + kEndInvoke, kBlock + kMark + kMark}) {
    const ParsedReply reply = parse(text, ToolSyntax::kDsml);
    EXPECT_TRUE(reply.malformed_call) << text;
    EXPECT_TRUE(reply.tool_calls.empty()) << text;
    EXPECT_EQ(reply.content.find(kMark), std::string::npos) << text;
    EXPECT_EQ(reply.finish_reason, "stop") << text;
  }
  EXPECT_EQ(parse(kBlock + "no call", ToolSyntax::kDsml).content, "no call");
}

TEST_F(ToolCallsTest, HermesCallsAreObjects) {
  const ParsedReply reply = parse(
      "Sure.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"}\\\"{\", \"b\": [1, 2]}}\n"
      "</tool_call>\n<tool_call>\n{\"arguments\": {\"c\": 1}, \"name\": \"g\"}\n</tool_call>",
      ToolSyntax::kHermes);
  EXPECT_EQ(reply.content, "Sure.");
  EXPECT_EQ(reply.tool_calls, (std::vector<ParsedCall>{{"f", "{\"a\": \"}\\\"{\", \"b\": [1, 2]}"},
                                                       {"g", "{\"c\":1}"}}));
  EXPECT_FALSE(reply.malformed_call);
}

TEST_F(ToolCallsTest, HermesArgumentsComeAsTheyArrive) {
  parse("<tool_call>{\"name\": \"f\", \"arguments\": {\"a\":1}}</tool_call>", ToolSyntax::kHermes);
  EXPECT_EQ(pieces.size(), 1u + 7);  // {"a":1}
}

TEST_F(ToolCallsTest, HermesCallsMayHaveNoArgumentsOrTextualOnes) {
  const auto call = [&](const std::string& body) {
    const ParsedReply reply = parse("<tool_call>" + body + "</tool_call>", ToolSyntax::kHermes);
    return reply.tool_calls.empty() ? ParsedCall{"none", reply.content} : reply.tool_calls[0];
  };
  EXPECT_EQ(call("{\"name\": \"f\"}"), (ParsedCall{"f", "{}"}));
  EXPECT_EQ(call("{\"name\": \"f\", \"arguments\": \"{\\\"a\\\": 1}\"}"),
            (ParsedCall{"f", "{\"a\": 1}"}));
  EXPECT_EQ(call("{\"arguments\": {}}"), (ParsedCall{"none", "{\"arguments\": {}}"}));
  EXPECT_EQ(call("{\"name\": 3, \"arguments\": {}}").name, "none");
  EXPECT_EQ(call("f(1)"), (ParsedCall{"none", "f(1)"}));
}

TEST_F(ToolCallsTest, ACutHermesCallKeepsWhatCame) {
  const ParsedReply reply = parse("<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"x",
                                  ToolSyntax::kHermes, ReplyEnd::kMaxTokens);
  EXPECT_EQ(reply.tool_calls, (std::vector<ParsedCall>{{"f", "{\"a\": \"x"}}));
}

TEST_F(ToolCallsTest, TheTemplateSaysWhichFormItIs) {
  const auto syntax = [&](const std::string& source) {
    return PromptFormat::from_template(source, "test", tokenizer).tool_syntax();
  };
  EXPECT_EQ(syntax("{{ '" + kBlock + "' }}"), ToolSyntax::kDsml);
  EXPECT_EQ(syntax("{{ '<tool_call>' }}"), ToolSyntax::kHermes);
  EXPECT_EQ(syntax("{{ '<｜tool▁sep｜>' }}"), ToolSyntax::kPlain);
  EXPECT_EQ(syntax("{{ 'x' }}"), ToolSyntax::kNone);
  const Tokenizer others = family_tokenizer(TestFamily::kV31);
  EXPECT_EQ(PromptFormat::from_template("{{ '<tool_call>' }}", "test", others).tool_syntax(),
            ToolSyntax::kNone);
}

}  // namespace
}  // namespace fathom
