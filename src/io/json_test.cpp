#include "io/json.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "io/testing.h"

namespace fathom {
namespace {

std::string parse_error_of(std::string_view text) {
  return error_of([&] { parse_json(text, "config.json"); });
}

TEST(Json, ReadsEveryKindOfValue) {
  const Json json = parse_json(
      R"({"null": null, "flag": true, "count": -3, "rate": 0.5, "name": "é\n", "list": [1, "a"]})",
      "text");
  EXPECT_TRUE(json.at("null").is_null());
  EXPECT_TRUE(json.bool_at("flag"));
  EXPECT_EQ(json.int_at("count"), -3);
  EXPECT_EQ(json.double_at("rate"), 0.5);
  EXPECT_EQ(json.double_at("count"), -3.0);
  EXPECT_EQ(json.string_at("name"), "\xC3\xA9\n");
  EXPECT_EQ(json.at("list").size(), 2u);
  EXPECT_EQ(json.at("list").at(1).as_string(), "a");
}

TEST(Json, KeepsTheOrderOfKeysWhenReadAndWritten) {
  const std::string text = R"({"zebra":1,"apple":{"y":2,"x":3},"mango":[]})";
  EXPECT_EQ(parse_json(text, "text").dump(), text);
}

TEST(Json, FindsEveryKeyOfABigObjectAfterInsertionsAndRemovals) {
  Json json;
  for (int i = 0; i < 5000; ++i) json[concat("key", i)] = i;
  for (int i = 0; i < 5000; i += 1000) EXPECT_TRUE(json.erase(concat("key", i)));
  EXPECT_FALSE(json.erase("key0"));
  EXPECT_EQ(json.size(), 4995u);
  for (int i = 0; i < 5000; ++i) {
    const Json* found = json.find(concat("key", i));
    ASSERT_EQ(found != nullptr, i % 1000 != 0) << i;
    ASSERT_EQ(found ? found->as_int() : i, i);
  }
  EXPECT_EQ(json.members().front().first, "key1");
  const Json copy = json;
  EXPECT_EQ(copy, json);
  EXPECT_EQ(copy.int_at("key4999"), 4999);
}

TEST(Json, WritesDoublesSoThatTheyReadBackBitForBit) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20000; ++i) {
    const double value = std::bit_cast<double>(random());
    if (!std::isfinite(value)) continue;
    const Json back = parse_json(Json(value).dump(), "text");
    ASSERT_EQ(back.kind(), Json::Kind::kDouble) << value;
    ASSERT_EQ(std::bit_cast<uint64_t>(back.as_double()), std::bit_cast<uint64_t>(value)) << value;
  }
  EXPECT_EQ(Json(0.1).dump(), "0.1");
  EXPECT_EQ(Json(2.0).dump(), "2.0");
  EXPECT_EQ(Json(0.0003).dump(), "0.0003");
  EXPECT_EQ(Json(-1e15).dump(), "-1000000000000000.0");
  EXPECT_EQ(Json(-0.0).dump(), "-0.0");
  EXPECT_EQ(Json(1e300).dump(), "1e+300");
}

TEST(Json, KeepsIntegersExactToTheEndsOfTheirRange) {
  const std::string text = "[9223372036854775807,-9223372036854775808,0]";
  EXPECT_EQ(parse_json(text, "text").dump(), text);
  EXPECT_EQ(parse_json(text, "text").at(0).as_int(), std::numeric_limits<int64_t>::max());
}

TEST(Json, HoldsAnIntegerBeyond64BitsAsADoubleAndRefusesItAsAnInteger) {
  const Json json = parse_json(R"({"seed": 18446744073709551615, "big": 1e30})", "text");
  EXPECT_EQ(json.double_at("seed"), 18446744073709551615.0);
  EXPECT_NE(error_of([&] { json.int_at("seed"); }).find("seed: expected an integer"),
            std::string::npos);
  EXPECT_NE(error_of([&] { json.int_at("big"); }), "");
}

TEST(Json, TakesADoubleWithoutAFractionAsAnInteger) {
  const Json json = parse_json(R"({"steps": 1e6, "half": 0.5})", "text");
  EXPECT_EQ(json.int_at("steps"), 1000000);
  EXPECT_NE(error_of([&] { json.int_at("half"); }).find("0.5"), std::string::npos);
}

TEST(Json, NamesFileLineColumnAndOffsetOfASyntaxError) {
  const std::string message = parse_error_of("{\"a\": 1,\n \"b\": nul}");
  EXPECT_TRUE(message.starts_with("config.json:2:10: byte 18 of 19: ")) << message;
}

TEST(Json, RefusesWhatIsNotJson) {
  for (const char* text : {"",           " ",           "nul",      "[1,]",
                           "{\"a\":}",   "{a:1}",       "[1] 2",    "NaN",
                           "[Infinity]", "'a'",         "01",       "1.",
                           "\"\n\"",     "\"\\ud800\"", "\"\xff\"", "\"\xed\xa0\x80\"",
                           "// c\n1",    "[1e400]",     "\"open",   "[",
                           "{\"a\":1",   "\"\\x\""}) {
    EXPECT_TRUE(parse_error_of(text).starts_with("config.json:")) << text;
  }
}

// To the library a zero byte was the end: what stood behind it was never looked at.
TEST(Json, RefusesAZeroByteWhereverItStands) {
  using namespace std::string_view_literals;
  for (const std::string_view text : {"\0"sv, "1\0"sv, "[1]\0]"sv, "\0{}"sv, "[\0]"sv, "\"\0\""sv})
    EXPECT_NE(parse_error_of(text).find("a zero byte"), std::string::npos) << text;
  EXPECT_TRUE(parse_error_of("{}\n\0"sv).starts_with("config.json:2:1: byte 3 of 4"));
}

TEST(Json, NamesAKeyThatAppearsTwiceAndWhere) {
  const std::string message = parse_error_of(R"({"layers": [{}, {"id": 1, "id": 2}]})");
  EXPECT_NE(message.find("\"id\" appears twice"), std::string::npos) << message;
  EXPECT_NE(message.find("layers[1]"), std::string::npos) << message;
}

TEST(Json, AllowsADepthOf100AndRefusesMore) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_EQ(parse_json(nested(100), "text").dump(), nested(100));
  EXPECT_NE(parse_error_of(nested(101)).find("100 levels"), std::string::npos);
  EXPECT_NE(parse_error_of(std::string(1000000, '[')), "");
}

TEST(Json, ReportsTheCodeItWasGiven) {
  try {
    parse_json("{", "config.json", ErrorCode::kModel);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kModel);
  }
}

TEST(Json, NamesTheMissingKeyAndTheNearestOne) {
  const Json json = Json::object({{"hidden_size", 64}, {"vocab_size", 100}});
  const std::string message = error_of([&] { json.at("hiden_size"); });
  EXPECT_NE(message.find("\"hiden_size\" is missing"), std::string::npos) << message;
  EXPECT_NE(message.find("hidden_size"), message.find("hiden_size")) << message;
  EXPECT_NE(message.find("did you mean hidden_size"), std::string::npos) << message;
}

TEST(Json, NamesTheKeyWhoseValueIsOfAnotherKind) {
  const Json json = Json::object({{"hidden_size", "big"}, {"rope_scaling", nullptr}});
  EXPECT_EQ(error_of([&] { json.int_at("hidden_size"); }),
            "hidden_size: expected an integer (64 bits), got the string \"big\"");
  EXPECT_NE(error_of([&] { json.int_or("hidden_size", 1); }), "");
  EXPECT_EQ(json.int_or("rope_scaling", 5), 5);
  EXPECT_EQ(json.int_or("absent", 6), 6);
  EXPECT_EQ(json.bool_or("absent", true), true);
  EXPECT_EQ(json.double_or("absent", 0.25), 0.25);
  EXPECT_EQ(json.string_or("absent", "x"), "x");
  EXPECT_EQ(json.find("absent"), nullptr);
  EXPECT_EQ(Json(3).find("absent"), nullptr);
}

TEST(Json, IsBuiltFromPlainValues) {
  Json json = Json::object({{"list", std::vector<int>{1, 2}}, {"flags", std::vector<bool>{true}}});
  json["nested"]["deep"] = "x";
  json["list"].push_back(nullptr);
  json["array"].push_back(uint8_t{7});
  EXPECT_EQ(json.dump(), R"({"list":[1,2,null],"flags":[true],"nested":{"deep":"x"},"array":[7]})");
  EXPECT_NE(error_of([] { Json(std::numeric_limits<uint64_t>::max()); }), "");
  EXPECT_NE(error_of([&] { json["list"]["key"]; }), "");
}

TEST(Json, IndentsObjectsAndKeepsRowsOfNumbersOnOneLine) {
  const Json json = parse_json(R"({"a":[1,2],"b":{"c":[]},"d":[[1],[2]],"e":{}})", "text");
  EXPECT_EQ(json.dump(2), R"({
  "a": [1, 2],
  "b": {
    "c": []
  },
  "d": [
    [1],
    [2]
  ],
  "e": {}
})");
  EXPECT_EQ(parse_json(json.dump(2), "text"), json);
}

TEST(Json, EscapesWhatAStringMayNotHold) {
  const std::string value = std::string("\"\\\b\f\n\r\t\x01\x1f\0/", 11) + "\xF0\x9F\x90\x8B";
  EXPECT_EQ(parse_json(Json(value).dump(), "text").as_string(), value);
  EXPECT_EQ(Json(std::string("\x1f\0", 2)).dump(), "\"\\u001f\\u0000\"");
}

TEST(Json, RefusesToWriteANumberThatIsNotFiniteAndSaysWhere) {
  const Json json = Json::object({{"rows", Json::array({1, Json::object({{"loss", NAN}})})}});
  EXPECT_NE(error_of([&] { json.dump(); }).find("rows[1].loss is nan"), std::string::npos);
  EXPECT_NE(error_of([] { Json(INFINITY).dump(); }), "");
}

TEST(Json, RefusesToWriteAStringThatIsNotUtf8) {
  const std::string message = error_of([] { Json::object({{"text", "ab\xC3"}}).dump(); });
  EXPECT_NE(message.find("text is not UTF-8: byte 195 at offset 2"), std::string::npos) << message;
}

TEST(Utf8, KnowsOverlongFormsSurrogatesAndTheEndOfUnicode) {
  EXPECT_FALSE(
      invalid_utf8_offset("a\xC2\x80\xE0\xA0\x80\xED\x9F\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"));
  for (const char* bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82", "\xC3(", "\xFF"}) {
    EXPECT_EQ(invalid_utf8_offset(std::string("ok") + bad), 2u);
  }
}

// Bytes of a valid text changed at random: the parser must throw or succeed, and what it accepts
// must survive being written and read again.
TEST(Json, SurvivesDamagedText) {
  const std::string valid =
      R"({"model":{"a":[1,-2.5e3,true,null,"\u00e9\\x"],"b":{"c":{}}},"n":18446744073709551616})";
  std::mt19937 random(11);
  for (int round = 0; round < 20000; ++round) {
    std::string text = valid;
    for (unsigned change = 0; change <= random() % 3; ++change) {
      text[random() % text.size()] = static_cast<char>(random() % 256);
    }
    if (random() % 4 == 0) text.resize(random() % text.size());
    try {
      const Json json = parse_json(text, "text");
      ASSERT_EQ(parse_json(json.dump(), "text"), json) << text;
    } catch (const Error&) {
      continue;  // refused: the other right outcome
    }
  }
}

}  // namespace
}  // namespace fathom
