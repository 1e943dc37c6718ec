#include "data/documents.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "io/files.h"
#include "io/json.h"
#include "text/tokenizer_presets.h"

namespace fathom {
namespace {

Document numbered(int32_t first, int32_t count) {
  Document document;
  for (int32_t i = 0; i < count; ++i) document.ids.push_back(first + i);
  document.weights.assign(document.ids.size(), 1.0f);
  return document;
}

TEST(Documents, TextStandsBetweenBosAndEosAndAllOfItCounts) {
  const Document document = text_document(character_tokenizer("ab"), "ab");
  EXPECT_EQ(document.ids, (std::vector<int32_t>{1, 7, 8, 2}));
  EXPECT_EQ(document.weights, (std::vector<float>{1, 1, 1, 1}));
}

TEST(Documents, TextThatSpellsControlTokensStaysText) {
  const Document document = text_document(byte_tokenizer(), "<think>");
  EXPECT_EQ(document.tokens(), 9);
}

TEST(Documents, ConversationsCountTheirAnswersAlone) {
  const Document document = conversation_document(
      character_tokenizer("qa"),
      {{"user", "q", ""}, {"assistant", "a", ""}, {"user", "qq", ""}, {"assistant", "aa", ""}});
  EXPECT_EQ(document.ids, (std::vector<int32_t>{1, 3, 7, 4, 8, 2, 3, 7, 7, 4, 8, 8, 2}));
  EXPECT_EQ(document.weights, (std::vector<float>{0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 1}));
}

TEST(Documents, ConcatenateKeepsOrderAndWeights) {
  Document quiet = numbered(5, 1);
  quiet.weights[0] = 0;
  const Document stream = concatenate({numbered(1, 2), quiet, numbered(7, 1)});
  EXPECT_EQ(stream.ids, (std::vector<int32_t>{1, 2, 5, 7}));
  EXPECT_EQ(stream.weights, (std::vector<float>{1, 1, 0, 1}));
}

TEST(Documents, TheLastTenthIsHeldOut) {
  const HoldoutSplit split = split_holdout(numbered(0, 100));
  EXPECT_EQ(split.train.tokens(), 90);
  EXPECT_EQ(split.held_out.ids.front(), 90);
  EXPECT_EQ(split.held_out.tokens(), 10);
  EXPECT_EQ(split_holdout(numbered(0, 4)).held_out.tokens(), 2);
  EXPECT_THROW(split_holdout(numbered(0, 3)), Error);
  EXPECT_THROW(split_holdout(numbered(0, 100), 1.0), Error);
}

TEST(Documents, WholeDocumentsAreHeldOutFromAList) {
  std::vector<Document> documents;
  for (int32_t i = 0; i < 20; ++i) documents.push_back(numbered(i, 2));
  const DocumentsSplit split = split_holdout(documents);
  EXPECT_EQ(split.train.size(), 18u);
  EXPECT_EQ(split.held_out.size(), 2u);
  EXPECT_EQ(split.held_out[0].ids[0], 18);
  EXPECT_EQ(split_holdout(std::vector<Document>{numbered(0, 2), numbered(1, 2)}).held_out.size(),
            1u);
  EXPECT_THROW(split_holdout(std::vector<Document>{numbered(0, 2)}), Error);
}

// The case is without a begin token, which training texts have as prompts do.
TEST(Documents, TextsWithAHoleOfCaseB49) {
  const std::string path = FATHOM_SHARED_DIR "/cases/data/B49.json";
  const std::string folder = FATHOM_SHARED_DIR "/data/tokenizers/deepseek-v3";
  if (!exists(path) || !exists(folder)) GTEST_SKIP() << path << " or " << folder << " is absent";
  const Tokenizer tokenizer = Tokenizer::load(folder);
  const Json file = parse_json(read_file(path), path);
  for (const Json& check : file.at("checks").items()) {
    SCOPED_TRACE(check.string_at("name"));
    const Json& cuts = check.at("input").at("cut_at_characters");
    std::vector<int32_t> expected = {*tokenizer.control().bos};
    for (const Json& id : check.at("expect").at("ids").items())
      expected.push_back(static_cast<int32_t>(id.as_int()));
    const Document document =
        fill_in_middle_document(tokenizer, check.at("input").string_at("document"),
                                cuts.at(0).as_int(), cuts.at(1).as_int());
    EXPECT_EQ(document.ids, expected);
  }
}

}  // namespace
}  // namespace fathom
