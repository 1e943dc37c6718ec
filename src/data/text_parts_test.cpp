#include "data/text_parts.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "io/files.h"
#include "io/json.h"
#include "text/tokenizer_presets.h"

namespace fathom {
namespace {

class TextPartsTest : public testing::Test {
 protected:
  void SetUp() override {
    remove_all(folder_);
    make_directories(folder_);
  }
  void TearDown() override { remove_all(folder_); }
  std::string file(const std::string& name, const std::string& content) {
    write_file_atomically(join_path(folder_, name), content);
    return join_path(folder_, name);
  }
  std::vector<TextPart> parts_of(const std::string& path, const TextPartSizes& sizes = {}) {
    TextPartReader reader({path}, sizes);
    std::vector<TextPart> parts;
    while (std::optional<TextPart> part = reader.next()) parts.push_back(*part);
    return parts;
  }
  std::string folder_ = testing::TempDir() + "text_parts_test";
  Tokenizer tokenizer_ = byte_tokenizer();
};

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

// What a stream makes of the records, bad ones by their line.
TEST_F(TextPartsTest, JsonLinesOfCaseB47) {
  const std::string path = FATHOM_SHARED_DIR "/cases/data/B47.json";
  if (!exists(path)) GTEST_SKIP() << path << " is absent";
  const Json cases = parse_json(read_file(path), path);
  for (const Json& check : cases.at("checks").items()) {
    SCOPED_TRACE(check.string_at("name"));
    const Json& expect = check.at("expect");
    std::vector<std::string> texts;
    std::vector<std::string> problems;
    for (const TextPart& part :
         parts_of(file("d.jsonl", from_hex(check.at("input").string_at("hex"))))) {
      const EncodedPart encoded = encode_part(tokenizer_, part);
      if (encoded.problem.empty()) {
        texts.push_back(tokenizer_.decode(encoded.ids, {.skip_special = true}));
      } else {
        problems.push_back(encoded.problem);
      }
    }
    if (const Json* line = expect.find("error_line")) {
      ASSERT_EQ(problems.size(), 1u);
      EXPECT_NE(problems[0].find(concat("d.jsonl:", line->as_int())), std::string::npos)
          << problems[0];
      EXPECT_EQ(static_cast<int64_t>(texts.size()), line->as_int() - 1);
      continue;
    }
    EXPECT_TRUE(problems.empty()) << problems[0];
    std::vector<std::string> expected;
    for (const Json& text : expect.at("texts").items()) expected.push_back(text.as_string());
    EXPECT_EQ(texts, expected);
  }
}

TEST_F(TextPartsTest, LinesLongerThanTheBufferAreWholeAndThoseAboveTheLimitAreProblems) {
  const std::string longer(3'000'000, 'x');
  const std::string path =
      file("long.jsonl", concat("{\"text\":\"", longer, "\"}\n\n{\"text\":\"b\"}"));
  const std::vector<TextPart> parts = parts_of(path);
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].text.size(), longer.size() + 11);
  EXPECT_EQ(parts[1].where, path + ":3");
  const std::vector<TextPart> limited = parts_of(path, {.line_bytes = 2'000'000});
  ASSERT_EQ(limited.size(), 2u);
  EXPECT_NE(limited[0].problem.find("longer than"), std::string::npos);
  EXPECT_EQ(limited[1].text, "{\"text\":\"b\"}");
  EXPECT_EQ(limited[1].where, path + ":3");
}

TEST_F(TextPartsTest, ALongTextComesInPartsCutBetweenALineEndAndALetter) {
  std::string text = "\xEF\xBB\xBF";
  for (int i = 0; i < 400; ++i) text += concat(i % 3 == 0 ? "  indented\n" : "left\n");
  const std::string path = file("t.txt", text);
  const std::vector<TextPart> parts = parts_of(path, {.part_bytes = 100});
  ASSERT_GT(parts.size(), 10u);
  std::string joined;
  for (size_t i = 0; i < parts.size(); ++i) {
    EXPECT_EQ(parts[i].first, i == 0);
    EXPECT_EQ(parts[i].last, i + 1 == parts.size());
    EXPECT_LE(parts[i].text.size(), 100u);
    if (i > 0) {
      EXPECT_EQ(parts[i].text.substr(0, 4), "left");
    }
    joined += parts[i].text;
  }
  EXPECT_EQ(joined, text.substr(3));
  EXPECT_TRUE(parts_of(file("empty.txt", "")).empty());
}

TEST_F(TextPartsTest, CutsFallBackToBlanksAndNeverPartACharacter) {
  EXPECT_EQ(find_cut("ab cd efg", 7), 5u);
  EXPECT_EQ(find_cut("aaaaaaaa", 5), 5u);
  EXPECT_EQ(find_cut("aa\xF0\x9F\xA6\x99z", 4), 2u);
  EXPECT_EQ(find_cut("a\n  b\nc d", 8), 6u);
}

TEST_F(TextPartsTest, FilesAreFoundInFoldersBelowAndByPattern) {
  make_directories(join_path(folder_, "b"));
  const std::vector<std::string> all = {file("a.jsonl", "x"), file("b/c.txt.gz", "x"),
                                        file("d.txt", "x")};
  file("b/notes.md", "x");
  EXPECT_EQ(find_text_files({folder_}), all);
  EXPECT_EQ(find_text_files({folder_ + "/*.txt", folder_ + "/a*"}),
            (std::vector<std::string>{all[2], all[0]}));
  for (const char* path : {"/b/notes.md", "/absent.txt", "/*.jsonl.gz", "/x.txt.zst"}) {
    if (std::string_view(path).ends_with(".zst")) file("x.txt.zst", "x");
    EXPECT_THROW(find_text_files({folder_ + path}), Error) << path;
  }
}

}  // namespace
}  // namespace fathom
