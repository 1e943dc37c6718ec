#include "app/argument_rewrite.h"

#include <gtest/gtest.h>

#include "io/testing.h"

namespace fathom {
namespace {

using Words = std::vector<std::string>;

const ArgumentRules kRules = {{{"-sys", "--system"}},
                              {{{"-ngl", "--gpu-layers"}, ForeignFlag::Value::kOne, "no GPU"},
                               {{"--mlock"}, ForeignFlag::Value::kNone, "mapped"},
                               {{"-fa"}, ForeignFlag::Value::kPerhaps, "always"}},
                              {"--model", "-m"}};

Words rewritten(const Words& arguments) { return rewrite_arguments(arguments, kRules).arguments; }

TEST(ArgumentRewrite, SpellsSeveralLettersBehindOneDashOut) {
  EXPECT_EQ(rewritten({"-sys", "be brief", "-sys=x", "-s", "1"}),
            (Words{"--system", "be brief", "--system=x", "-s", "1"}));
}

TEST(ArgumentRewrite, DropsForeignFlagsWithTheirValuesAndSaysSo) {
  const RewrittenArguments result = rewrite_arguments(
      {"a", "-ngl", "99", "--gpu-layers=all", "--mlock", "b", "-fa", "on", "-fa", "c"}, kRules);
  EXPECT_EQ(result.arguments, (Words{"a", "b", "c"}));
  EXPECT_EQ(result.notes,
            (Words{"-ngl has no effect here: no GPU", "--gpu-layers has no effect here: no GPU",
                   "--mlock has no effect here: mapped", "-fa has no effect here: always",
                   "-fa has no effect here: always"}));
}

TEST(ArgumentRewrite, AModelNamedByItsFlagGoesFirst) {
  EXPECT_EQ(rewritten({"1+2=?", "-n", "4", "-m", "folder"}),
            (Words{"-m", "folder", "1+2=?", "-n", "4"}));
  EXPECT_EQ(rewritten({"1+2=?", "--model=folder"}), (Words{"--model=folder", "1+2=?"}));
  EXPECT_EQ(rewritten({"-m"}), Words{"-m"});
}

TEST(ArgumentRewrite, LeavesEverythingBehindTwoDashesAlone) {
  const Words words = rewritten({"a", "--", "-ngl", "-sys", "--", "-m"});
  ASSERT_EQ(words.size(), 5u);
  EXPECT_FALSE(has_literal_mark(words[0]));
  Words texts;
  for (const std::string& word : words) texts.push_back(without_literal_mark(word));
  EXPECT_EQ(texts, (Words{"a", "-ngl", "-sys", "--", "-m"}));
  EXPECT_TRUE(has_literal_mark(words[1]));
}

TEST(ArgumentRewrite, TakesTheFileOfSettingsOut) {
  ArgumentRules rules;
  rules.settings_file = true;
  const RewrittenArguments apart = rewrite_arguments({"a", "--config", "f.toml", "b"}, rules);
  EXPECT_EQ(apart.settings_path, "f.toml");
  EXPECT_EQ(apart.arguments, (Words{"a", "b"}));
  EXPECT_EQ(rewrite_arguments({"--config=f.toml"}, rules).settings_path, "f.toml");
  EXPECT_EQ(rewrite_arguments({"--config"}, rules).arguments, Words{"--config"});
  EXPECT_FALSE(rewrite_arguments({"--config", "f"}, {}).settings_path);
}

TEST(ArgumentRewrite, SettingsAreTheFlagsThatWereNotGiven) {
  const std::vector<SettableFlag> flags = {
      {"--ctx-size"}, {"--temp", true, true}, {"--file"}, {"--think", false}, {"--raw", false}};
  const Json settings = parse_json(
      R"({"ctx_size": 64, "temp": 0.5, "file": ["a", "b"], "think": true, "raw": false})", "f");
  EXPECT_EQ(arguments_of_settings(settings, "f", flags),
            (Words{"--ctx-size=64", "--file=a", "--file=b", "--think"}));
  const auto fault = [&](const char* text) {
    return error_of([&] { arguments_of_settings(parse_json(text, "f"), "f.toml", flags); });
  };
  EXPECT_NE(fault(R"({"ctx_siz": 1})").find("f.toml: 'ctx_siz' is no flag of this command"),
            std::string::npos);
  EXPECT_NE(fault(R"({"ctx_siz": 1})").find("--ctx-size"), std::string::npos);
  EXPECT_NE(fault(R"({"think": 1})").find("f.toml: think"), std::string::npos);
  EXPECT_NE(fault(R"({"ctx_size": {"a": 1}})").find("expected a text or a number"),
            std::string::npos);
}

}  // namespace
}  // namespace fathom
