#include "text/tokenizer_training.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "text/testing.h"
#include "text/tokenizer_presets.h"

namespace fathom {
namespace {

constexpr int32_t kBase = 263;  // control tokens and bytes

Tokenizer trained(const std::vector<std::string>& texts, TokenizerTrainingConfig config) {
  TokenizerTrainer trainer;
  for (const std::string& text : texts) trainer.add(text);
  return trainer.train(config);
}

std::vector<std::string> learned(const Tokenizer& tokenizer) {
  std::vector<std::string> tokens;
  for (int32_t id = kBase; id < tokenizer.vocab_size(); ++id)
    tokens.push_back(tokenizer.token_text(id));
  return tokens;
}

TEST(TokenizerTraining, MergesTheMostFrequentPairFirst) {
  const Tokenizer tokenizer = trained({"low low low lower lower newest"}, {.vocab_size = 267});
  // "lo" and "ow" occur five times; the pair of lower ids comes first.
  EXPECT_EQ(learned(tokenizer), (std::vector<std::string>{"lo", "low", " low", "er"}));
  EXPECT_EQ(tokenizer.encode(" low").size(), 1u);
}

TEST(TokenizerTraining, StopsWhereNothingOccursTwice) {
  EXPECT_EQ(trained({"abcdefg"}, {.vocab_size = 1000}).vocab_size(), kBase);
  EXPECT_EQ(trained({}, {.vocab_size = 1000}).vocab_size(), kBase);
}

TEST(TokenizerTraining, NeverMergesAcrossPieces) {
  const Tokenizer tokenizer = trained({"a1a1a1a1 12345678 12345678"}, {.vocab_size = 300});
  for (const std::string& token : learned(tokenizer)) {
    std::vector<uint32_t> ends;
    Splitter(tokenizer.spec().split).split(token, ends);
    EXPECT_EQ(ends.size(), 1u) << token;
  }
}

TEST(TokenizerTraining, KeepsTokensShort) {
  const Tokenizer tokenizer =
      trained({std::string(5000, 'a')}, {.vocab_size = 300, .longest_token = 8});
  EXPECT_EQ(learned(tokenizer), (std::vector<std::string>{"aa", "aaaa", "aaaaaaaa"}));
}

TEST(TokenizerTraining, GivesEveryTextBackAndSurvivesItsFile) {
  Draws draws(1);
  const std::vector<std::string> words = {"the ", "cat ", "你好",    "🦙", "\n",
                                          "  ",   "12",   "e\u0301", "x_y("};
  std::string text;
  for (int i = 0; i < 5000; ++i) text += draws.one_of(words);
  const Tokenizer made = trained({text}, {.vocab_size = 320});
  EXPECT_GT(made.spec().merges.size(), 30u);
  EXPECT_LT(made.encode(text).size(), text.size() / 2);
  const Tokenizer read = Tokenizer::from_json(made.tokenizer_json(), made.config_json(), "test");
  const std::string unseen = text.substr(0, 200) + " zebra Ω \x01<think>";
  EXPECT_EQ(read.encode(unseen), made.encode(unseen));
  EXPECT_EQ(made.decode(made.encode(unseen)), unseen);
  EXPECT_EQ(read.control().think, 5);
}

TEST(TokenizerTraining, DependsOnTheTextsAlone) {
  const std::vector<std::string> texts = {"a bb ccc dddd", "bb ccc bb", "dddd a ccc ccc"};
  const std::vector<std::string> others = {texts[2], texts[0], texts[1]};
  EXPECT_EQ(trained(texts, {.vocab_size = 280}).tokenizer_json(),
            trained(others, {.vocab_size = 280}).tokenizer_json());
}

TEST(TokenizerTraining, RefusesAVocabularyThatHoldsNotEvenTheBytes) {
  EXPECT_THROW(trained({"abc"}, {.vocab_size = 262}), Error);
}

}  // namespace
}  // namespace fathom
