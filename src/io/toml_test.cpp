#include "io/toml.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "io/testing.h"

namespace fathom {
namespace {

constexpr const char* kRunFile = R"(seed = 7
name = "nano\n\"quoted\""
rates = [0.1, 2.0, 1e-30]
"odd key" = true

[train]
peak_lr = 0.0003
steps = 1000

[train.schedule]
kind = "cosine"

[[stage]]
task = "add"

[stage.limits]
digits = 3

[[stage]]
task = "sort"
)";

TEST(Toml, ReadsTablesInTheOrderOfTheFile) {
  const Json run = parse_toml(kRunFile, "run.toml");
  EXPECT_EQ(run.members()[0].first, "seed");
  EXPECT_EQ(run.members()[4].first, "train");
  EXPECT_EQ(run.string_at("name"), "nano\n\"quoted\"");
  EXPECT_EQ(run.at("train").double_at("peak_lr"), 0.0003);
  EXPECT_EQ(run.at("train").at("schedule").string_at("kind"), "cosine");
  EXPECT_EQ(run.at("stage").at(0).at("limits").int_at("digits"), 3);
  EXPECT_EQ(run.at("stage").at(1).string_at("task"), "sort");
}

TEST(Toml, WritesWhatItReadByteForByte) {
  EXPECT_EQ(dump_toml(parse_toml(kRunFile, "run.toml")), kRunFile);
}

TEST(Toml, RoundTripsEveryKindOfValue) {
  const Json table = Json::object(
      {{"flag", false},
       {"text", std::string("\0\x7f\x1b \\ \"", 8)},
       {"numbers", Json::array({1, -2, 3.5, 1e300, -0.0})},
       {"mixed",
        Json::array({1, "a", Json::array(), Json::object({{"k.k", 1}, {"e", Json::object()}})})},
       {"empty", Json::array()},
       {"inner", Json::object({{"", 1}, {"a b", Json::object()}})}});
  EXPECT_EQ(parse_toml(dump_toml(table), "text"), table) << dump_toml(table);
}

TEST(Toml, KeepsNumbersThatAreNotFinite) {
  const Json table = parse_toml("a = inf\nb = -inf\nc = nan", "run.toml");
  EXPECT_EQ(dump_toml(table), "a = inf\nb = -inf\nc = nan\n");
}

TEST(Toml, GivesDatesAsText) {
  EXPECT_EQ(parse_toml("day = 2024-12-26\ntime = 07:32:00", "run.toml").string_at("day"),
            "2024-12-26");
}

TEST(Toml, NamesFileLineAndColumnOfAnError) {
  const auto message = [](std::string_view text) {
    return error_of([&] { parse_toml(text, "run.toml"); });
  };
  EXPECT_TRUE(message("a = 1\nb = ").starts_with("run.toml:2:")) << message("a = 1\nb = ");
  EXPECT_TRUE(message("a = 1\n\na = 2").starts_with("run.toml:3:"));
  EXPECT_NE(message("[t]\nx = 1\n[t]\n"), "");
  EXPECT_NE(message("x = 99999999999999999999").find("64 bits"), std::string::npos);
  EXPECT_NE(message("x = \"\xff\""), "");
}

TEST(Toml, RefusesNestingThatWouldExhaustTheStack) {
  std::string dotted;
  for (int i = 0; i < 300000; ++i) dotted += "a.";
  const auto refused = [](const std::string& text) {
    return error_of([&] { parse_toml(text, "run.toml"); }).starts_with("run.toml:");
  };
  EXPECT_TRUE(refused(dotted + "a = 1"));
  EXPECT_TRUE(refused("[" + dotted + "a]"));
  EXPECT_TRUE(refused(dotted.substr(0, 400) + "a = 1"));
  EXPECT_TRUE(refused("x = " + std::string(100000, '[')));
  EXPECT_EQ(parse_toml("x = \"" + std::string(5000, '.') + "\"", "run.toml").string_at("x").size(),
            5000u);
}

TEST(Toml, RefusesToWriteNull) {
  const Json table = Json::object({{"a", Json::object({{"b", nullptr}})}});
  EXPECT_NE(error_of([&] { dump_toml(table); }).find("a.b is null"), std::string::npos);
  EXPECT_NE(error_of([] { dump_toml(Json(1)); }), "");
}

TEST(Toml, RefusesWhatTheParserOnlyAsserts) {
  for (const char* text : {"[\xC3\xA9]", "[ \n]"}) {
    EXPECT_TRUE(error_of([&] { parse_toml(text, "run.toml"); }).starts_with("run.toml:1:")) << text;
  }
}

TEST(Toml, ReadsLettersBeyondAsciiInText) {
  std::string letters;
  for (unsigned c = 0xA0; c < 0x800; ++c) {
    letters += static_cast<char>(0xC0 | c >> 6);
    letters += static_cast<char>(0x80 | (c & 0x3F));
  }
  const std::string folded = "x = \"\"\"\\\n  \xC3\xA9 " + letters + "\"\"\" # \xC3\xA9";
  EXPECT_EQ(parse_toml(folded, "run.toml").string_at("x"), "\xC3\xA9 " + letters);
  for (size_t i = 0; i < letters.size(); i += 2) {
    const std::string bare = letters.substr(i, 2);
    EXPECT_NE(error_of([&] { parse_toml("x = 1" + bare, "run.toml"); }), "") << bare;
  }
}

TEST(Toml, SurvivesDamagedText) {
  std::mt19937 random(5);
  for (int round = 0; round < 20000; ++round) {
    std::string text = kRunFile;
    for (unsigned change = 0; change <= random() % 3; ++change) {
      text[random() % text.size()] = static_cast<char>(random() % 128);
    }
    try {
      const Json table = parse_toml(text, "text");
      const std::string written = dump_toml(table);
      ASSERT_EQ(dump_toml(parse_toml(written, "text")), written);
    } catch (const Error&) {
      continue;  // refused: the other right outcome
    }
  }
}

}  // namespace
}  // namespace fathom
