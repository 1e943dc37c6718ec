#include "data/readers.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "io/files.h"
#include "io/json.h"
#include "text/tokenizer_presets.h"

namespace fathom {
namespace {

std::string refusal(const std::string& content, const std::string& path = "d.jsonl") {
  try {
    parse_records(content, path);
  } catch (const Error& error) {
    return error.what();
  }
  return "not refused";
}

std::vector<std::string> texts_of(const std::vector<Record>& records) {
  std::vector<std::string> texts;
  for (const Record& record : records) texts.push_back(record.text);
  return texts;
}

TEST(Readers, ATextFileIsOneDocument) {
  const std::vector<Record> records = parse_records("one\r\ntwo\n", "d.txt");
  EXPECT_EQ(texts_of(records), std::vector<std::string>{"one\r\ntwo\n"});
  EXPECT_TRUE(parse_records("", "d.txt").empty());
}

TEST(Readers, ASeparatorCutsATextFileAndEmptyPartsAreNone) {
  const std::vector<Record> records =
      parse_records("one\n--\ntwo\n--\n\n--\n", "d.txt", {.separator = "\n--\n"});
  EXPECT_EQ(texts_of(records), (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(records[1].where, "d.txt:3");
}

TEST(Readers, AByteOrderMarkIsDropped) {
  EXPECT_EQ(parse_records("\xEF\xBB\xBFx", "d.txt")[0].text, "x");
  EXPECT_EQ(parse_records("\xEF\xBB\xBF{\"text\":\"x\"}", "d.jsonl")[0].text, "x");
}

TEST(Readers, InvalidUtf8InATextFileIsReportedWithItsLine) {
  const std::string message = refusal("a\nb\n\xFFz", "d.txt");
  EXPECT_NE(message.find("d.txt:3"), std::string::npos) << message;
}

TEST(Readers, RecordsMayBeMessagesOrPromptAndAnswerOrText) {
  const std::vector<Record> records = parse_records(
      R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a",)"
      R"("reasoning_content":"t"}],"prompt":"x"})"
      "\n\n"
      R"({"prompt":"q","answer":"a","id":7})"
      "\n"
      R"({"text":"z"})",
      "d.jsonl");
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].messages[1].reasoning_content, "t");
  EXPECT_EQ(records[1].messages[0].content, "q");
  EXPECT_EQ(records[1].messages[1].role, "assistant");
  EXPECT_EQ(records[1].where, "d.jsonl:3");
  EXPECT_EQ(records[2].text, "z");
}

TEST(Readers, ErrorsNameFileAndLine) {
  const std::string good = "{\"text\":\"a\"}\n";
  for (const std::string bad :
       {R"({"prompt":"q"})", R"({"text":null})", R"({"messages":[]})", R"({"messages":"hi"})",
        R"({"messages":[{"role":"user"}]})", R"({"messages":[{"role":"tool","content":"x"}]})",
        R"({"messages":[{"role":"user","content":["x"]}]})", R"({"messages":["x"]})", "{}",
        "nonsense", R"({"text":"a"} {"text":"b"})", R"({"prompt":"q","answer":5})"}) {
    const std::string message = refusal(good + bad + "\n" + good);
    EXPECT_NE(message.find("d.jsonl:2"), std::string::npos) << bad << " gave: " << message;
  }
}

TEST(Readers, DocumentsThatCannotBeTokenizedNameTheirPlace) {
  const Tokenizer tokenizer = character_tokenizer("ab");
  const std::vector<Record> records =
      parse_records("{\"text\":\"a\"}\n{\"text\":\"aé\"}", "d.jsonl");
  try {
    to_document(tokenizer, records[1]);
    FAIL() << "accepted an unknown character";
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("d.jsonl:2"), std::string::npos) << message;
    EXPECT_NE(message.find("'é'"), std::string::npos) << message;
  }
}

TEST(Readers, AConversationWithoutAnAnswerTeachesNothing) {
  EXPECT_THROW(to_document(character_tokenizer("q"), {"d.jsonl:1", "", {{"user", "q", ""}}}),
               Error);
}

TEST(Readers, AFolderStandsForItsFilesInOrder) {
  const std::filesystem::path folder = testing::TempDir() + "readers_test";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "b.txt") << "b";
  std::ofstream(folder / "a.jsonl") << "{\"text\":\"a\"}\n";
  std::ofstream(folder / "notes.md") << "not data";
  EXPECT_EQ(texts_of(read_records(folder)), (std::vector<std::string>{"a", "b"}));
  const Tokenizer tokenizer = character_tokenizer("ab");
  EXPECT_EQ(read_documents(tokenizer, {folder, folder / "b.txt"}).size(), 3u);
  EXPECT_THROW(read_records(folder / "notes.md"), Error);
  EXPECT_THROW(read_records(folder / "absent.txt"), Error);
  EXPECT_THROW(read_documents(tokenizer, {}), Error);
  std::filesystem::remove_all(folder);
}

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

TEST(Readers, JsonLinesOfCaseB47) {
  const std::string path = FATHOM_SHARED_DIR "/cases/data/B47.json";
  if (!exists(path)) GTEST_SKIP() << path << " is absent";
  const Json file = parse_json(read_file(path), path);
  for (const Json& check : file.at("checks").items()) {
    SCOPED_TRACE(check.string_at("name"));
    const std::string content = from_hex(check.at("input").string_at("hex"));
    const Json& expect = check.at("expect");
    if (const Json* line = expect.find("error_line")) {
      const std::string message = refusal(content);
      EXPECT_NE(message.find(concat("d.jsonl:", line->as_int())), std::string::npos) << message;
      continue;
    }
    std::vector<std::string> texts;
    for (const Json& text : expect.at("texts").items()) texts.push_back(text.as_string());
    EXPECT_EQ(texts_of(parse_records(content, "d.jsonl")), texts);
  }
}

}  // namespace
}  // namespace fathom
