#include "text/utf8.h"

#include <gtest/gtest.h>

#include "io/files.h"
#include "io/json.h"

namespace fathom {
namespace {

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

TEST(Utf8, EveryCodePointSurvivesWritingAndReading) {
  for (char32_t code_point = 0; code_point <= 0x10FFFF; ++code_point) {
    if (code_point == 0xD800) code_point = 0xE000;
    std::string text;
    append_utf8(text, code_point);
    ASSERT_EQ(replace_invalid_utf8(text), text) << describe_character(code_point);
    size_t at = 0;
    ASSERT_EQ(next_code_point(text, at), code_point);
    ASSERT_EQ(at, text.size());
  }
}

TEST(Utf8, OneReplacementStandsForEachMaximalBadPart) {
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(replace_invalid_utf8("\xED\xA0\x80"), r + r + r);          // a surrogate
  EXPECT_EQ(replace_invalid_utf8("\xC0\x80"), r + r);                  // over-long
  EXPECT_EQ(replace_invalid_utf8("\xF0\x9F\xA6"), r);                  // cut off
  EXPECT_EQ(replace_invalid_utf8("\xF4\x90\x80\x80"), r + r + r + r);  // above U+10FFFF
  EXPECT_EQ(replace_invalid_utf8("a\xFFz"), "a" + r + "z");
}

TEST(Utf8, StreamInAnyCutEqualsTheWhole) {
  const std::string bytes = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\xA6\x99\xE2\x82x\xF0\x9F";
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    Utf8Stream stream;
    std::string text = stream.push(bytes.substr(0, cut));
    EXPECT_EQ(text, replace_invalid_utf8(text)) << "cut at " << cut;
    text += stream.push(bytes.substr(cut));
    text += stream.finish();
    EXPECT_EQ(text, replace_invalid_utf8(bytes)) << "cut at " << cut;
  }
}

TEST(Utf8, NamesControlCharactersByNumberAlone) {
  EXPECT_EQ(describe_character(U'é'), "'é' (U+00E9)");
  EXPECT_EQ(describe_character(U'\n'), "U+000A");
}

TEST(Utf8, ReleasesWhatCaseB35Releases) {
  const std::string path = FATHOM_SHARED_DIR "/cases/streaming/B35.json";
  if (!exists(path)) GTEST_SKIP() << path << " is absent";
  const Json file = parse_json(read_file(path), path);
  for (const Json& check : file.at("checks").items()) {
    SCOPED_TRACE(check.string_at("name"));
    const Json& expect = check.at("expect");
    Utf8Stream stream;
    const Json& pieces = check.at("input").at("bytes_hex");
    for (size_t i = 0; i < pieces.size(); ++i) {
      EXPECT_EQ(stream.push(from_hex(pieces.at(i).as_string())),
                expect.at("delta_after_each_id").at(i).as_string())
          << "piece " << i;
    }
    EXPECT_EQ(stream.finish(), expect.string_at("delta_at_end"));
  }
}

}  // namespace
}  // namespace fathom
