#include "text/reply_parser.h"

#include <gtest/gtest.h>

#include "text/prompt_testing.h"
#include "text/tokenizer_presets.h"

namespace fathom {
namespace {

using Kind = ReplyPiece::Kind;

struct Streamed {
  ParsedReply reply;
  std::vector<ReplyPiece> pieces;
};

// The reply in steps that end at the given positions.
Streamed streamed(const Tokenizer& tokenizer, const std::vector<int32_t>& ids,
                  const ReplyForm& form) {
  ReplyParser parser(tokenizer, form);
  Streamed result;
  const auto take = [&](const std::vector<ReplyPiece>& pieces) {
    for (const ReplyPiece& piece : pieces) {
      append_piece(piece, result.reply);
      result.pieces.push_back(piece);
    }
  };
  for (const int32_t id : ids) take(parser.push(id));
  take(parser.finish());
  result.reply.malformed_call = parser.malformed_call();
  return result;
}

void expect_same(const ParsedReply& got, const Json& expected, const std::string& where) {
  EXPECT_EQ(got.content, expected.string_or("content", "")) << where;
  EXPECT_EQ(got.reasoning_content, expected.string_or("reasoning_content", "")) << where;
  std::vector<ParsedCall> calls;
  if (const Json* list = expected.find("tool_calls")) {
    for (const Json& call : list->items()) {
      calls.push_back({call.string_at("name"), call.string_at("arguments")});
    }
  }
  EXPECT_EQ(got.tool_calls, calls) << where;
}

// Each piece has text, and no piece shows a part of a mark.
void expect_clean(const std::vector<ReplyPiece>& pieces, const std::string& where) {
  for (const ReplyPiece& piece : pieces) {
    EXPECT_FALSE(piece.text.empty()) << where;
    EXPECT_EQ(piece.text.find("｜tool"), std::string::npos) << where;
    EXPECT_EQ(piece.text.find("</think>"), std::string::npos) << where;
    const bool of_call = piece.kind == Kind::kToolName || piece.kind == Kind::kToolArguments;
    EXPECT_EQ(of_call, piece.call >= 0) << where;
  }
}

void check_parse_case(const Json& check, const Tokenizer& tokenizer,
                      const std::vector<int32_t>& ids, const std::string& file) {
  const Json& input = check.at("input");
  const Json& expected = check.at("expect");
  const std::string where = file + ", " + check.string_at("name");
  ReplyForm form;
  form.opened_think = input.bool_at("prompt_opened_think");
  const std::string format = input.string_or("format", "v3.1");
  form.tools = format == "v3" ? ToolSyntax::kFenced : ToolSyntax::kPlain;
  const ReplyEnd end =
      input.string_at("ended_by") == "max_tokens" ? ReplyEnd::kMaxTokens : ReplyEnd::kEndToken;
  const ParsedReply whole = parse_reply(tokenizer, ids, form, end);
  expect_same(whole, expected, where);
  EXPECT_EQ(whole.finish_reason, expected.string_at("finish_reason")) << where;
  if (input.string_or("modes", "both") == "both") {
    const Streamed stream = streamed(tokenizer, ids, form);
    expect_same(stream.reply, expected, where + ", streamed");
    expect_clean(stream.pieces, where);
    EXPECT_EQ(finish_reason_of(end, stream.reply.tool_calls.size()),
              expected.string_at("finish_reason"));
    std::vector<int32_t> ended = ids;
    ended.push_back(*tokenizer.control().eos);
    expect_same(streamed(tokenizer, ended, form).reply, expected, where + ", with the end token");
  }
}

// The published vocabulary, where the tokenizer can read it: the ids as the cases give them.
std::optional<Tokenizer> published_r1() {
  std::string file = shared_file("data/tokenizers/deepseek-v3/tokenizer.json");
  for (const auto& [from, to] : {std::pair<std::string, std::string>{"798", "<think>"},
                                 std::pair<std::string, std::string>{"799", "</think>"}}) {
    const std::string token = "<｜place▁holder▁no▁" + from + "｜>";
    for (size_t at = file.find(token); at != std::string::npos; at = file.find(token)) {
      file.replace(at, token.size(), to);
    }
  }
  try {
    return Tokenizer::from_json(
        file, shared_file("data/tokenizers/deepseek-v3/tokenizer_config.json"), "deepseek-v3");
  } catch (const Error& error) {
    if (std::string(error.what()).find("not supported yet") == std::string::npos) throw;
    return std::nullopt;
  }
}

void check_parse_cases(const std::string& file) {
  const std::string text = shared_file("cases/parse/" + file);
  if (text.empty()) GTEST_SKIP() << "there is no ../shared/cases/parse";
  const Json cases = parse_json(text, file);
  const Tokenizer bytes = family_tokenizer(TestFamily::kV31);
  const std::optional<Tokenizer> published = published_r1();
  for (const Json& check : cases.at("checks").items()) {
    const Json& input = check.at("input");
    // Byte by byte: the finest way of cutting.
    check_parse_case(check, bytes, bytes.encode(input.string_at("reply"), {.parse_special = true}),
                     file);
    if (!published) continue;
    std::vector<int32_t> ids;
    for (const Json& id : input.at("ids").items()) ids.push_back(static_cast<int32_t>(id.as_int()));
    check_parse_case(check, *published, ids, file + " (published ids)");
  }
}

TEST(ParseCases, ArgumentsEndInAnything) { check_parse_cases("B07.json"); }
TEST(ParseCases, OrdinaryRepliesThatDefeatPatterns) { check_parse_cases("B08.json"); }
TEST(ParseCases, TheBorderOfThinking) { check_parse_cases("B09.json"); }
TEST(ParseCases, RepliesWithoutTheExpectedTags) { check_parse_cases("B10.json"); }

struct ReplyParserTest : ::testing::Test {
  Tokenizer tokenizer = family_tokenizer(TestFamily::kV31);

  Streamed parse(const std::string& text, ToolSyntax tools = ToolSyntax::kPlain,
                 bool opened_think = false) {
    return streamed(tokenizer, tokenizer.encode(text, {.parse_special = true}),
                    {opened_think, tools});
  }
};

const std::string kCalls = "<｜tool▁calls▁begin｜>";
const std::string kCall = "<｜tool▁call▁begin｜>";
const std::string kSep = "<｜tool▁sep｜>";
const std::string kEndCall = "<｜tool▁call▁end｜>";
const std::string kEndCalls = "<｜tool▁calls▁end｜>";

TEST_F(ReplyParserTest, NewlinesAroundThinkingAreItsForm) {
  const ParsedReply reply = parse("\n\na \n b\n\n</think>\n\n c\n", ToolSyntax::kNone, true).reply;
  EXPECT_EQ(reply.reasoning_content, "a \n b");
  EXPECT_EQ(reply.content, " c\n");
  EXPECT_EQ(parse("<think>\nx\n</think>\n\ny").reply.reasoning_content, "x");
  // A reply that is cut keeps what was held back.
  EXPECT_EQ(parse("x\n", ToolSyntax::kNone, true).reply.reasoning_content, "x\n");
}

TEST_F(ReplyParserTest, WhitespaceBeforeCallsIsDropped) {
  const Streamed result =
      parse("Let me look.\n\n" + kCalls + kCall + "f" + kSep + "{}" + kEndCall + kEndCalls);
  EXPECT_EQ(result.reply.content, "Let me look.");
  ASSERT_EQ(result.reply.tool_calls.size(), 1u);
  EXPECT_EQ(result.pieces[result.pieces.size() - 3], (ReplyPiece{Kind::kToolName, "f", 0}));
}

TEST_F(ReplyParserTest, NamesComeOnceAndArgumentsAsTheyArrive) {
  const Streamed result = parse(kCalls + kCall + "f" + kSep + "{\"a\":1}" + kEndCall + kCall + "g" +
                                kSep + "{}" + kEndCall + kEndCalls);
  int names = 0, arguments = 0;
  for (const ReplyPiece& piece : result.pieces) {
    names += piece.kind == Kind::kToolName;
    arguments += piece.kind == Kind::kToolArguments;
  }
  EXPECT_EQ(names, 2);
  EXPECT_EQ(arguments, 9);  // one per byte
}

TEST_F(ReplyParserTest, FencesAreFlexible) {
  const auto call = [&](const std::string& body) {
    const ParsedReply reply =
        parse(kCalls + kCall + "function" + kSep + body + kEndCall + kEndCalls, ToolSyntax::kFenced)
            .reply;
    return reply.tool_calls.empty() ? ParsedCall{"none", reply.content} : reply.tool_calls[0];
  };
  const ParsedCall expected{"f", "{\"a\": 1}"};
  EXPECT_EQ(call("f\n```json\n{\"a\": 1}\n```"), expected);
  EXPECT_EQ(call(" f \n\n```json {\"a\": 1} ``` \n"), expected);
  EXPECT_EQ(call("f\n```\n{\"a\": 1}\n```"), expected);
  EXPECT_EQ(call("f\n{\"a\": 1}"), expected);
  EXPECT_EQ(call("f{\"a\": 1}"), expected);
  EXPECT_EQ(call("f\n```json\n{\"a\": 1"), (ParsedCall{"f", "{\"a\": 1"}));
  EXPECT_EQ(call("f\n```json\n{\"a\": \"``"), (ParsedCall{"f", "{\"a\": \"``"}));
}

TEST_F(ReplyParserTest, ACutCallKeepsWhatCame) {
  const std::string front = kCalls + kCall + "function" + kSep + "f\n```json\n";
  const auto cut = [&](const std::string& body) {
    const ParsedReply reply =
        parse_reply(tokenizer, tokenizer.encode(front + body, {.parse_special = true}),
                    {false, ToolSyntax::kFenced}, ReplyEnd::kMaxTokens);
    EXPECT_EQ(reply.finish_reason, "length");
    EXPECT_EQ(reply.tool_calls.size(), 1u);
    return reply.tool_calls.empty() ? "" : reply.tool_calls[0].arguments;
  };
  EXPECT_EQ(cut("{\"a\": 1"), "{\"a\": 1");
  EXPECT_EQ(cut("{\"a\": \"```"), "{\"a\": \"```");
  EXPECT_EQ(cut("{\"a\": 1}\n```"), "{\"a\": 1}");
}

TEST_F(ReplyParserTest, AMalformedBlockIsAnswer) {
  const Streamed nothing = parse("a" + kCalls + kEndCalls);
  EXPECT_EQ(nothing.reply.content, "a");
  EXPECT_TRUE(nothing.reply.tool_calls.empty());
  const Streamed text = parse(kCalls + "no call" + kEndCalls);
  EXPECT_EQ(text.reply.content, "no call");
  EXPECT_TRUE(text.reply.malformed_call);
  const Streamed headless = parse(kCalls + kCall + "{\"name\": \"f\"}" + kEndCall + kEndCalls);
  EXPECT_EQ(headless.reply.content, "{\"name\": \"f\"}");
  EXPECT_TRUE(headless.reply.malformed_call && headless.reply.tool_calls.empty());
  expect_clean(headless.pieces, "headless");
}

TEST_F(ReplyParserTest, CallsInsideAnUnclosedThoughtCloseIt) {
  const ParsedReply reply =
      parse("hm\n" + kCalls + kCall + "f" + kSep + "{}" + kEndCall + kEndCalls, ToolSyntax::kPlain,
            true)
          .reply;
  EXPECT_EQ(reply.reasoning_content, "hm");
  EXPECT_EQ(reply.tool_calls, (std::vector<ParsedCall>{{"f", "{}"}}));
}

TEST_F(ReplyParserTest, MarksOutOfPlaceAreNoText) {
  const ParsedReply reply = parse("a<think>b</think>c<｜User｜><｜Assistant｜>").reply;
  EXPECT_EQ(reply.content, "abc");
  const std::vector<int32_t> ids =
      tokenizer.encode("a<｜end▁of▁sentence｜>b", {.parse_special = true});
  EXPECT_EQ(parse_reply(tokenizer, ids, {}, ReplyEnd::kEndToken).content, "a");
}

TEST_F(ReplyParserTest, MarksSpeltByTextAreText) {
  const std::vector<int32_t> ids = tokenizer.encode("x</think>" + kCalls + "y");
  const Streamed result = streamed(tokenizer, ids, {true, ToolSyntax::kPlain});
  EXPECT_EQ(result.reply.reasoning_content, "x</think>" + kCalls + "y");
}

TEST_F(ReplyParserTest, ThinkingIsCountedThroughItsEnd) {
  ReplyParser parser(tokenizer, {true, ToolSyntax::kNone});
  for (const int32_t id : tokenizer.encode("ab</think>c", {.parse_special = true})) parser.push(id);
  parser.finish();
  EXPECT_EQ(parser.reasoning_tokens(), 3);
  ReplyParser cut(tokenizer, {true, ToolSyntax::kNone});
  for (const int32_t id : tokenizer.encode("ab")) cut.push(id);
  cut.finish();
  EXPECT_EQ(cut.reasoning_tokens(), 2);
}

TEST_F(ReplyParserTest, CharactersCutByMarksDoNotMix) {
  std::vector<int32_t> ids = tokenizer.encode("ok 🤔");
  ids.pop_back();
  ids.push_back(*tokenizer.control().end_think);
  for (const int32_t id : tokenizer.encode("😀!")) ids.push_back(id);
  const Streamed result = streamed(tokenizer, ids, {true, ToolSyntax::kNone});
  EXPECT_EQ(result.reply.reasoning_content, "ok \uFFFD");
  EXPECT_EQ(result.reply.content, "😀!");
}

}  // namespace
}  // namespace fathom
