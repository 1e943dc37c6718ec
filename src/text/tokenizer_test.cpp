#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "text/tokenizer_presets.h"

namespace fathom {
namespace {

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(ByteTokenizer, GivesBackEveryText) {
  const Tokenizer tokenizer = byte_tokenizer();
  EXPECT_EQ(tokenizer.vocab_size(), 263);
  for (const std::string text : {"", " ", "abc\r\n\t", "naïve 🦙 你好", "<think>", "Ġx Ċ"}) {
    const std::vector<int32_t> ids = tokenizer.encode(text);
    EXPECT_EQ(ids.size(), text.size());
    EXPECT_EQ(tokenizer.decode(ids), text);
  }
  EXPECT_EQ(tokenizer.encode(std::string("\0A", 2)), (std::vector<int32_t>{7, 72}));
}

TEST(ByteTokenizer, RefusesTextThatIsNotUtf8AndSaysWhere) {
  const std::string message = message_of([] { byte_tokenizer().encode("ab\xC3("); });
  EXPECT_NE(message.find("byte 2"), std::string::npos) << message;
}

TEST(CharacterTokenizer, NumbersItsCharactersInTheOrderGiven) {
  const Tokenizer tokenizer = character_tokenizer("ba 你");
  EXPECT_EQ(tokenizer.vocab_size(), 11);
  EXPECT_EQ(tokenizer.encode("a你 b"), (std::vector<int32_t>{8, 10, 9, 7}));
  EXPECT_EQ(tokenizer.decode({8, 10, 9, 7}), "a你 b");
}

TEST(CharacterTokenizer, NamesEveryUnknownCharacterOnce) {
  const Tokenizer tokenizer = character_tokenizer("ab");
  EXPECT_EQ(tokenizer.unknown_characters("aébé\n"), (std::vector<char32_t>{U'é', U'\n'}));
  EXPECT_TRUE(tokenizer.unknown_characters("abba").empty());
  const std::string message = message_of([&] { tokenizer.encode("aébé\n"); });
  EXPECT_NE(message.find("'é' (U+00E9), U+000A;"), std::string::npos) << message;
}

TEST(CharacterTokenizer, RefusesARepeatedCharacter) {
  EXPECT_THROW(character_tokenizer("aba"), Error);
}

TEST(CharacterTokenizer, CanBeMadeFromTheCharactersOfAText) {
  EXPECT_EQ(distinct_characters("banana é"), " abné");
}

TEST(Tokenizer, TextThatSpellsAControlTokenIsTextUnlessAskedFor) {
  const Tokenizer tokenizer = byte_tokenizer();
  const std::string text = "hi<｜User｜></think>";
  for (const int32_t id : tokenizer.encode(text)) EXPECT_GE(id, 7);
  EXPECT_EQ(tokenizer.encode(text, {.parse_special = true}),
            (std::vector<int32_t>{7 + 'h', 7 + 'i', 3, 6}));
  EXPECT_TRUE(character_tokenizer("a").unknown_characters("a<think>", true).empty());
  EXPECT_EQ(character_tokenizer("a").unknown_characters("a<think>").size(), 7u);
}

TEST(Tokenizer, PrefersTheLeftmostThenTheLongestAddedToken) {
  TokenizerSpec spec;
  spec.kind = SymbolKind::kCharacters;
  spec.vocab = {{"a", 0}, {"b", 1}, {"c", 2}};
  spec.added_tokens = {{3, "ab", false, false}, {4, "abc", false, false}, {5, "bcc", false, false}};
  const Tokenizer tokenizer(spec);
  EXPECT_EQ(tokenizer.encode("abcc", {.parse_special = true}), (std::vector<int32_t>{4, 2}));
  EXPECT_EQ(tokenizer.encode("aabb", {.parse_special = true}), (std::vector<int32_t>{0, 3, 1}));
}

TEST(Tokenizer, SearchesTokensThatAreNotNormalizedFirst) {
  TokenizerSpec spec;
  spec.kind = SymbolKind::kCharacters;
  spec.vocab = {{"a", 0}, {"b", 1}, {"c", 2}};
  spec.added_tokens = {{3, "abc", false, true}, {4, "bc", true, false}};
  EXPECT_EQ(Tokenizer(spec).encode("abc", {.parse_special = true}), (std::vector<int32_t>{0, 4}));
}

TEST(Tokenizer, FindsAddedLettersWithoutBeingAsked) {
  TokenizerSpec spec;
  spec.kind = SymbolKind::kCharacters;
  spec.vocab = {{"a", 0}, {"ü", 1}, {"é", 2}};
  spec.added_tokens = {{3, "ü", false, true}, {4, "é", true, false}, {5, "aa", false, false}};
  const Tokenizer tokenizer(spec);
  EXPECT_EQ(tokenizer.encode("aaüé"), (std::vector<int32_t>{0, 0, 3, 2}));
  EXPECT_EQ(tokenizer.encode("aaüé", {.parse_special = true}), (std::vector<int32_t>{5, 3, 4}));
}

TEST(Tokenizer, SearchesNormalizedTokensInTheNormalisedText) {
  TokenizerSpec spec;
  spec.kind = SymbolKind::kCharacters;
  spec.normalizer = Normalizer::kNfc;
  spec.vocab = {{"e", 0}, {"é", 1}, {"\u0301", 2}, {"x", 3}};
  spec.added_tokens = {{4, "xe\u0301", false, true}, {5, "ee\u0301", false, false}};
  const Tokenizer tokenizer(spec);
  EXPECT_EQ(tokenizer.encode("e\u0301", {.parse_special = true}), (std::vector<int32_t>{1}));
  EXPECT_EQ(tokenizer.encode("xéxe\u0301", {.parse_special = true}), (std::vector<int32_t>{4, 4}));
  EXPECT_EQ(tokenizer.encode("ee\u0301", {.parse_special = true}), (std::vector<int32_t>{5}));
  EXPECT_EQ(tokenizer.encode("eé", {.parse_special = true}), (std::vector<int32_t>{0, 1}));
}

TEST(Tokenizer, AddsBosOnlyWhenAsked) {
  const Tokenizer tokenizer = character_tokenizer("a");
  EXPECT_EQ(tokenizer.encode("a", {.add_bos = true}), (std::vector<int32_t>{1, 7}));
  EXPECT_EQ(tokenizer.encode("", {.add_bos = true}), (std::vector<int32_t>{1}));
  EXPECT_EQ(tokenizer.encode("a"), (std::vector<int32_t>{7}));
}

TEST(Tokenizer, SkipSpecialLeavesRoleAndThinkTokensInTheText) {
  const Tokenizer tokenizer = character_tokenizer("a");
  const std::vector<int32_t> ids = {1, 3, 7, 4, 5, 6, 7, 2};
  EXPECT_EQ(tokenizer.decode(ids, {.skip_special = true}),
            "<｜User｜>a<｜Assistant｜><think></think>a");
  EXPECT_EQ(tokenizer.decode({1, 7}), "<｜begin▁of▁sentence｜>a");
}

TEST(Tokenizer, IdsWithoutATokenShowAsReplacementCharacters) {
  const Tokenizer tokenizer = character_tokenizer("a");
  EXPECT_EQ(tokenizer.decode({7, 60, -1}), "a\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(Tokenizer, StreamNeverShowsHalfACharacterAndJoinsToTheWhole) {
  const Tokenizer tokenizer = byte_tokenizer();
  std::vector<int32_t> ids = tokenizer.encode("é🦙</think>x");
  ids.push_back(7 + 0xE2);
  StreamDecoder decoder(tokenizer);
  std::string joined;
  for (const int32_t id : ids) {
    const std::string part = decoder.push(id);
    EXPECT_EQ(part, replace_invalid_utf8(part));
    EXPECT_EQ(part.find("\xEF\xBF\xBD"), std::string::npos);
    joined += part;
  }
  EXPECT_EQ(decoder.finish(), "\xEF\xBF\xBD");
  EXPECT_EQ(joined + "\xEF\xBF\xBD", tokenizer.decode(ids));
}

TEST(Tokenizer, RefusesASpecThatContradictsItself) {
  TokenizerSpec spec;
  spec.kind = SymbolKind::kCharacters;
  spec.vocab = {{"a", 0}, {"b", 0}};
  EXPECT_THROW(Tokenizer{spec}, Error);
  spec.vocab = {{"a", 0}, {"b", 1 << 30}};
  EXPECT_THROW(Tokenizer{spec}, Error);
  spec.vocab = {{"a", 0}};
  spec.bos_token = "<s>";
  EXPECT_THROW(Tokenizer{spec}, Error);
  spec.bos_token = "";
  spec.kind = SymbolKind::kBytes;  // 255 bytes are missing
  EXPECT_THROW(Tokenizer{spec}, Error);
}

}  // namespace
}  // namespace fathom
