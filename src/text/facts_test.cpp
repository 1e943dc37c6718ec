#include "text/facts.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "text/chat.h"
#include "text/prompt_formats.h"
#include "text/prompt_testing.h"
#include "text/tokenizer_presets.h"

namespace fathom {
namespace {

FormatFacts facts_of(std::string_view format, TestFamily family) {
  const Tokenizer tokenizer = family_tokenizer(family);
  return examine_format(PromptFormat::named(format, tokenizer), tokenizer);
}

TEST(Facts, NamesThePublishedSplits) {
  EXPECT_EQ(split_family({}), "none");
  EXPECT_EQ(split_family(deepseek_v3_split()), "deepseek-v3");
  std::vector<SplitStep> other = deepseek_v3_split();
  other.pop_back();
  EXPECT_EQ(split_family(other), "other");
  for (const auto& [folder, name] : {std::pair{"deepseek-v3", "deepseek-v3"},
                                     {"deepseek-llm", "deepseek-llm"},
                                     {"deepseek-coder", "deepseek-coder"},
                                     {"qwen2.5", "qwen2"},
                                     {"llama3.1", "llama3"}}) {
    const std::string file = shared_file(concat("data/tokenizers/", folder, "/tokenizer.json"));
    if (file.empty()) GTEST_SKIP() << "there is no ../shared/data/tokenizers";
    const Tokenizer tokenizer = Tokenizer::from_json(file, "", folder);
    EXPECT_EQ(split_family(tokenizer.spec().split), name);
    EXPECT_EQ(tokenizer_kind(tokenizer), "bpe");
  }
}

TEST(Facts, TellsTheKindsOfThinkingApart) {
  EXPECT_EQ(facts_of("llm", TestFamily::kLlm).thinking, ThinkingUse::kNone);
  EXPECT_EQ(facts_of("r1", TestFamily::kR1).thinking, ThinkingUse::kAlways);
  EXPECT_EQ(facts_of("v3.1", TestFamily::kV31).thinking, ThinkingUse::kSwitch);
  EXPECT_EQ(facts_of("r1-0528", TestFamily::kR1).thinking, ThinkingUse::kOwn);
  EXPECT_EQ(facts_of("fathom", TestFamily::kR1).thinking, ThinkingUse::kSwitch);
}

TEST(Facts, FindsSystemTextsAndTools) {
  EXPECT_TRUE(facts_of("v3.1", TestFamily::kV31).system);
  EXPECT_TRUE(facts_of("v3.1", TestFamily::kV31).tools);
  EXPECT_TRUE(facts_of("v3", TestFamily::kV3).system);
  EXPECT_FALSE(facts_of("v3", TestFamily::kV3).tools);
  const Tokenizer tokenizer = family_tokenizer(TestFamily::kV3);
  const PromptFormat deaf = PromptFormat::from_template(
      "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}"
      "{{ m.content }}{% endfor %}",
      "deaf", tokenizer);
  EXPECT_FALSE(examine_format(deaf, tokenizer).system);
}

TEST(Facts, AsksInCharactersThatTheTokenizerHas) {
  const Tokenizer tokenizer = character_tokenizer("ab");
  const FormatFacts facts = examine_format(PromptFormat::named("fathom", tokenizer), tokenizer);
  EXPECT_TRUE(facts.system);
  EXPECT_FALSE(facts.tools);
}

TEST(Facts, BrokenTemplatesAreErrors) {
  const Tokenizer tokenizer = family_tokenizer(TestFamily::kV3);
  const PromptFormat endless = PromptFormat::from_template(
      "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}", "loop",
      tokenizer);
  EXPECT_THROW(examine_format(endless, tokenizer), Error);
}

TEST(Facts, SaysWhatShowedTheFamily) {
  EXPECT_EQ(built_in_format_evidence(family_tokenizer(TestFamily::kCoder)),
            "the end token <|EOT|>");
  EXPECT_EQ(built_in_format_evidence(family_tokenizer(TestFamily::kR1)),
            "the tokens <｜User｜>, <think> and <｜tool▁calls▁begin｜>");
  EXPECT_EQ(built_in_format_evidence(family_tokenizer(TestFamily::kLlm)),
            "the tokens <｜begin▁of▁sentence｜> and <｜end▁of▁sentence｜>, without <｜User｜>");
  EXPECT_EQ(built_in_format_evidence(byte_tokenizer()), "");
}

}  // namespace
}  // namespace fathom
