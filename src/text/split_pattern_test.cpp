#include "text/split_pattern.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/error.h"
#include "text/regex.h"
#include "text/split_syntax.h"
#include "text/testing.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace fathom {
namespace {

using Kind = SplitStep::Kind;

std::vector<std::string> pieces(const Splitter& splitter, const std::string& text) {
  std::vector<uint32_t> ends;
  splitter.split(text, ends);
  std::vector<std::string> found;
  uint32_t start = 0;
  for (const uint32_t end : ends) {
    EXPECT_GT(end, start);
    found.push_back(text.substr(start, end - start));
    start = end;
  }
  EXPECT_EQ(start, text.size());
  return found;
}

// Characters of every class, and those that the patterns name, so that they meet often.
std::string random_text(Draws& draws) {
  static const std::vector<std::string> kCharacters = {
      "a",      "b",      "Z",  "s",          "T",      "'",      "'",      " ",      " ",
      " ",      "\n",     "\r", "\t",         "1",      "22",     "½",      "_",      "-",
      "]",      "+",      "!",  "é",          "ſ",      "你",     "一",     "。",     "　",
      "～",     "ḁ",      "ก",  "가",         "\u0301", "\u0E31", "\u200D", "\u200B", "\u00A0",
      "\u2028", "🦙",   "٣",  "ll",         "re",     "\x01",   "Ⅷ",      "ー",     "の",
      "\uFF5C", "\u0085", "ǅ",  "\U0001D7D8", "ˇ",      "€",      "\u20DD"};
  std::string text;
  for (uint64_t left = draws.below(24); left > 0; --left) {
    const std::string& character = draws.one_of(kCharacters);
    for (uint64_t times = draws.below(8) == 0 ? 1 + draws.below(5) : 1; times > 0; --times)
      text += character;
  }
  return text;
}

TEST(Splitter, CutsAsTheLibraryDoes) {
  Draws draws(1);
  for (const std::vector<SplitStep>& rule : known_splits()) {
    const Splitter own(rule), library(rule, Splitter::Engine::kLibrary);
    ASSERT_TRUE(own.is_linear()) << rule.back().pattern;
    for (int round = 0; round < 5000; ++round) {
      const std::string text = random_text(draws);
      ASSERT_EQ(pieces(own, text), pieces(library, text)) << rule.back().pattern << "\n" << text;
    }
  }
}

// The library of this machine may know an older Unicode: code points that it holds for unassigned
// are left out, and so is U+180E, which some versions count as white space.
TEST(Splitter, CutsEveryCodePointAsTheLibraryDoes) {
  const Regex unassigned(R"(\p{Cn})");
  for (const std::vector<SplitStep>& rule : known_splits()) {
    const Splitter own(rule), library(rule, Splitter::Engine::kLibrary);
    std::string text;
    for (char32_t c = 0; c < kCodePoints; ++c) {
      if (c == 0xD800) c = 0xE000;
      std::string one;
      append_utf8(one, c);
      if (c == 0x180E || unassigned.find(one, 0)) continue;
      text += "x" + one + " " + one + one + "1" + one;
      if (text.size() < 4000) continue;
      ASSERT_EQ(pieces(own, text), pieces(library, text)) << describe_character(c);
      text.clear();
    }
  }
}

TEST(Splitter, LookaheadsAndLineEndsSeeTheEndOfThePiece) {
  const Splitter v3(deepseek_v3_split());
  EXPECT_EQ(pieces(v3, "a   1"), (std::vector<std::string>{"a", "   ", "1"}));
  EXPECT_EQ(pieces(v3, "a   b"), (std::vector<std::string>{"a", "  ", " b"}));
  const Splitter ends({split_by(R"(\s+$)")});
  EXPECT_EQ(pieces(ends, "a  \n b "), (std::vector<std::string>{"a", "  ", "\n b", " "}));
}

TEST(Splitter, WithoutStepsTheTextIsOnePiece) {
  EXPECT_EQ(pieces(Splitter({}), "a b"), (std::vector<std::string>{"a b"}));
  EXPECT_TRUE(pieces(Splitter(deepseek_v3_split()), "").empty());
}

TEST(Splitter, DigitsMayStayTogether) {
  EXPECT_EQ(pieces(Splitter({{Kind::kDigits, "", false}}), "a12٣b"),
            (std::vector<std::string>{"a", "12٣", "b"}));
}

TEST(Splitter, OtherPatternsGoToTheLibrary) {
  const Splitter splitter({split_by("(?<=a)b+|x*")});
  EXPECT_FALSE(splitter.is_linear());
  EXPECT_EQ(pieces(splitter, "abbcxxb"), (std::vector<std::string>{"a", "bb", "c", "xx", "b"}));
  EXPECT_THROW(Splitter({split_by("(a")}), Error);
}

TEST(Splitter, APatternThatBacktracksWithoutEndIsAnError) {
  const Splitter splitter({split_by("(?:a+)+b")});
  EXPECT_EQ(pieces(splitter, "caab").size(), 2u);
  try {
    pieces(splitter, std::string(100, 'a') + "cb");
    FAIL() << "went through 2^100 ways";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("(?:a+)+b"), std::string::npos) << error.what();
  }
}

TEST(Splitter, TakesATimeProportionalToTheTextWhateverItIs) {
  std::vector<std::string> texts;
  for (const char* unit : {"a", " ", "\n", "1", "!", "'", "你", "\u0301", "\u200B", " \n", "a ",
                           "\r\n", "'s", "\u3000", "1a"}) {
    std::string text;
    while (text.size() < 1'000'000) text += unit;
    texts.push_back(text);
    texts.push_back(text + "x");  // where a search from each place may run to the end and fail
    texts.push_back(text + "\u200B");
  }
  for (const std::vector<SplitStep>& rule : known_splits()) {
    const Splitter splitter(rule);
    for (const std::string& text : texts) {
      const Timer timer;
      std::vector<uint32_t> ends;
      splitter.split(text, ends);
      EXPECT_EQ(ends.back(), text.size());
      EXPECT_LT(timer.seconds(), 20.0)
          << rule.back().pattern;  // a quadratic one takes many minutes
    }
  }
}

TEST(SplitSyntax, UnderstandsRunsOfAClass) {
  const std::optional<RunPattern> run = parse_run_pattern(R"(\s?[a-c\]\p{L}é]+)");
  ASSERT_TRUE(run.has_value());
  EXPECT_TRUE(run->after_space);
  EXPECT_EQ(run->set.classes, kLetter);
  using Ranges = std::vector<std::pair<char32_t, char32_t>>;
  EXPECT_EQ(run->set.ranges, (Ranges{{'a', 'c'}, {']', ']'}, {U'é', U'é'}}));
  EXPECT_EQ(parse_run_pattern(R"(\p{N}{1,3})")->longest, 3u);
  EXPECT_EQ(parse_run_pattern(R"([\r\n])")->longest, 1u);
  for (const char* other :
       {"", "a", "[^a]+", "[a", "[a&&b]+", "[[:alpha:]]", "[a-]+", "[z-a]", "[a]*", "[a]+?",
        "[a]++", R"([\d]+)", R"(\S+)", "[a]{2,3}", R"(\s?)", "[a]+b"}) {
    EXPECT_FALSE(parse_run_pattern(other).has_value()) << other;
  }
}

TEST(SplitSyntax, KnowsThePublishedAlternationsHoweverLineEndsAreWritten) {
  EXPECT_TRUE(is_deepseek_v3_words(kDeepseekV3Words));
  std::string raw(kDeepseekV3Words);
  for (size_t at; (at = raw.find(R"(\r\n)")) != raw.npos;) raw.replace(at, 4, "\r\n");
  EXPECT_TRUE(is_deepseek_v3_words(raw));
  EXPECT_FALSE(is_deepseek_v3_words(kQwen2Words));
  EXPECT_EQ(gpt_words_digits(kQwen2Words), 1u);
  EXPECT_EQ(gpt_words_digits(kLlama3Words), 3u);
  EXPECT_FALSE(gpt_words_digits(kDeepseekV3Words).has_value());
}

}  // namespace
}  // namespace fathom
