// The pipelines of the published tokenizers: on tiny vocabularies that stand in tests/vectors, and
// on the published files where the shared folder is there.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "io/files.h"
#include "io/json.h"
#include "text/chat.h"
#include "text/tokenizer.h"

namespace fathom {
namespace {

const std::string kVectors = FATHOM_SOURCE_DIR "/tests/vectors/tokenizers/";
const std::string kShared = FATHOM_SHARED_DIR "/";
const std::string kPublished = kShared + "data/tokenizers/";

std::vector<int32_t> ids_of(const Json& list) {
  std::vector<int32_t> ids;
  for (const Json& id : list.items()) ids.push_back(static_cast<int32_t>(id.as_int()));
  return ids;
}

void each_line(const std::string& path, const std::function<void(const Json&)>& use) {
  const std::string content = read_file(path);
  int number = 1;
  for (size_t at = 0; at < content.size(); ++number) {
    const size_t end = content.find('\n', at);
    const std::string where = path + ":" + std::to_string(number);
    SCOPED_TRACE(where);
    use(parse_json(std::string_view(content).substr(at, end - at), where));
    at = end + 1;
  }
}

Tokenizer edited(const std::string& name, const std::function<void(Json&)>& edit) {
  Json file = parse_json(read_file(kPublished + name + "/tokenizer.json"), name);
  edit(file);
  return Tokenizer::from_json(file.dump(), "", name);
}

Json added_token(int64_t id, std::string_view content, bool special) {
  return Json::object(
      {{"id", id}, {"content", content}, {"special", special}, {"normalized", !special}});
}

// DeepSeek-V2: the vocabulary and merges of DeepSeek LLM with other added tokens.
Tokenizer deepseek_v2() {
  return edited("deepseek-llm", [](Json& file) {
    Json added = Json::array();
    int64_t id = 100000;
    for (const std::string_view content : {kBosToken, kEosToken}) {
      added.push_back(added_token(id++, content, true));
    }
    for (const char* content : {"<｜fim▁hole｜>", "<｜fim▁begin｜>", "<｜fim▁end｜>"}) {
      added.push_back(added_token(id++, content, false));
    }
    file["added_tokens"] = added;
  });
}

// DeepSeek-R1: two place holders of V3 are the think tokens.
Tokenizer deepseek_r1() {
  return edited("deepseek-v3", [](Json& file) {
    Json added = Json::array();
    for (const Json& token : file.at("added_tokens").items()) {
      const int64_t id = token.int_at("id");
      const bool think = id == 128798 || id == 128799;
      added.push_back(think ? added_token(id, id == 128798 ? kThinkToken : kEndThinkToken, false)
                            : token);
    }
    file["added_tokens"] = added;
  });
}

Tokenizer published(const std::string& name) {
  if (name == "deepseek-v2") return deepseek_v2();
  if (name == "deepseek-v3") return deepseek_r1();
  return Tokenizer::from_json(read_file(kPublished + name + "/tokenizer.json"), "", name);
}

class TinyPublished : public testing::TestWithParam<const char*> {};

TEST_P(TinyPublished, GivesTheIdsOfTheReferenceLibrary) {
  const std::string path = kVectors + GetParam();
  const Tokenizer tokenizer = Tokenizer::from_json(read_file(path + ".json"), "", path);
  each_line(path + ".jsonl", [&](const Json& line) {
    const std::string& text = line.string_at("text");
    EXPECT_EQ(tokenizer.encode(text, {.parse_special = true}), ids_of(line.at("ids")));
    EXPECT_EQ(tokenizer.encode(text), ids_of(line.at("plain")));
  });
}

TEST_P(TinyPublished, GivesTheTextBack) {
  const std::string path = kVectors + GetParam();
  const Tokenizer tokenizer = Tokenizer::from_json(read_file(path + ".json"), "", path);
  each_line(path + ".jsonl", [&](const Json& line) {
    std::string storage;
    const std::string text(
        normalized(tokenizer.spec().normalizer, line.string_at("text"), storage));
    for (const char* key : {"ids", "plain"}) {
      const std::vector<int32_t> ids = ids_of(line.at(key));
      EXPECT_EQ(tokenizer.decode(ids), text);
      StreamDecoder decoder(tokenizer);
      std::string joined;
      for (const int32_t id : ids) {
        const std::string part = decoder.push(id);
        EXPECT_EQ(part, replace_invalid_utf8(part));
        joined += part;
      }
      EXPECT_EQ(joined + decoder.finish(), text);
    }
  });
}

TEST_P(TinyPublished, WrittenAndReadBackIsTheSame) {
  const std::string path = kVectors + GetParam();
  const Tokenizer made = Tokenizer::from_json(read_file(path + ".json"), "", path);
  const Tokenizer read = Tokenizer::from_json(made.tokenizer_json(), made.config_json(), path);
  EXPECT_EQ(read.spec().merges, made.spec().merges);
  EXPECT_EQ(read.spec().split, made.spec().split);
  EXPECT_EQ(read.tokenizer_json(), made.tokenizer_json());
  each_line(path + ".jsonl", [&](const Json& line) {
    EXPECT_EQ(read.encode(line.string_at("text"), {.parse_special = true}), ids_of(line.at("ids")));
  });
}

TEST_P(TinyPublished, IsSplitByOwnCode) {
  const std::string path = kVectors + GetParam();
  const Tokenizer tokenizer = Tokenizer::from_json(read_file(path + ".json"), "", path);
  EXPECT_TRUE(Splitter(tokenizer.spec().split).is_linear());
}

INSTANTIATE_TEST_SUITE_P(Families, TinyPublished,
                         testing::Values("deepseek-llm", "deepseek-coder", "deepseek-v3", "qwen2.5",
                                         "llama3.1"));

TEST(PublishedTokenizers, GiveTheIdsOfTheGoldenFiles) {
  if (!exists(kPublished)) GTEST_SKIP() << kPublished << " is absent";
  size_t lines = 0;
  for (const char* name : {"deepseek-llm", "deepseek-coder", "qwen2.5", "llama3.1"}) {
    const Tokenizer tokenizer = published(name);
    each_line(kPublished + "golden/" + name + ".jsonl", [&](const Json& line) {
      const std::vector<int32_t> ids = ids_of(line.at("ids"));
      EXPECT_EQ(tokenizer.encode(line.string_at("text")), ids);
      EXPECT_EQ(tokenizer.decode(ids), line.string_at("text"));
      ++lines;
    });
  }
  EXPECT_EQ(lines, 184u);
}

TEST(PublishedTokenizers, GiveTheIdsOfPublishedExamples) {
  if (!exists(kPublished)) GTEST_SKIP() << kPublished << " is absent";
  for (const char* name : {"deepseek-llm", "deepseek-coder", "deepseek-v2", "deepseek-v3"}) {
    const Tokenizer tokenizer = published(name);
    const bool parse = std::string(name) == "deepseek-v3";
    each_line(kVectors + "published_examples.jsonl", [&](const Json& line) {
      if (line.string_at("tokenizer") != name) return;
      const std::vector<int32_t> ids = ids_of(line.at("ids"));
      EXPECT_EQ(tokenizer.encode(line.string_at("text"), {.parse_special = parse}), ids);
      EXPECT_EQ(tokenizer.decode(ids), line.string_at("text"));
    });
  }
}

TEST(PublishedTokenizers, ReadTheSettingsBesideTheFile) {
  if (!exists(kPublished)) GTEST_SKIP() << kPublished << " is absent";
  const Tokenizer v3 = Tokenizer::load(kPublished + "deepseek-v3");
  EXPECT_EQ(v3.control().bos, 0);
  EXPECT_EQ(v3.control().eos, 1);
  EXPECT_EQ(v3.control().user, 128803);
  EXPECT_TRUE(v3.spec().add_bos_token);
  EXPECT_EQ(v3.vocab_size(), 128815);
  const Tokenizer llama = Tokenizer::load(kPublished + "llama3.1");
  EXPECT_EQ(llama.control().bos, 128000);
  EXPECT_TRUE(llama.spec().add_bos_token);
  EXPECT_EQ(llama.encode("Hi", {.add_bos = true}).front(), 128000);
  const Tokenizer qwen = Tokenizer::load(kPublished + "qwen2.5");
  EXPECT_FALSE(qwen.control().bos.has_value());
  EXPECT_FALSE(qwen.spec().add_bos_token);
}

TEST(PublishedTokenizers, ShowTheLettersThatAreAddedTokensOrTheirBytes) {
  if (!exists(kPublished)) GTEST_SKIP() << kPublished << " is absent";
  const Tokenizer tokenizer = published("deepseek-llm");
  const std::vector<int32_t> ids = {37, 100014, 71, 6245};
  EXPECT_EQ(tokenizer.decode(ids), "Führer");
  EXPECT_EQ(tokenizer.decode(ids, {.added_tokens_as_bytes = true}), "F\uFFFDhrer");
}

void check_text_case(const Tokenizer& tokenizer, const Json& check) {
  const Json& expect = check.at("expect");
  const std::string& text = check.at("input").string_at("text");
  const std::vector<int32_t> ids =
      tokenizer.encode(text, {.parse_special = check.at("input").bool_or("parse_special", false)});
  EXPECT_EQ(ids, ids_of(expect.at("ids")));
  EXPECT_EQ(tokenizer.decode(ids), expect.string_or("decoded", text));
  const Json* pieces = expect.find("pieces");
  if (pieces == nullptr) return;
  std::vector<uint32_t> ends;
  Splitter(tokenizer.spec().split).split(text, ends);
  ASSERT_EQ(ends.size(), pieces->size());
  for (size_t i = 0, start = 0; i < ends.size(); start = ends[i++]) {
    EXPECT_EQ(text.substr(start, ends[i] - start), pieces->at(i).as_string());
  }
}

// The layout of DeepSeek-V3: the template's own markers alone are control tokens.
void check_chat_case(const Tokenizer& tokenizer, const Json& check) {
  std::vector<int32_t> ids = {*tokenizer.control().bos};
  for (const Json& message : check.at("input").at("messages").items()) {
    ASSERT_EQ(message.string_at("role"), "user");
    ids.push_back(*tokenizer.control().user);
    for (const int32_t id : tokenizer.encode(message.string_at("content"))) ids.push_back(id);
  }
  ids.push_back(*tokenizer.control().assistant);
  EXPECT_EQ(ids, ids_of(check.at("expect").at("ids")));
  for (const auto& [id, times] : check.at("expect").at("count_of_id").members()) {
    EXPECT_EQ(std::count(ids.begin(), ids.end(), std::stoi(id)), times.as_int()) << id;
  }
}

TEST(PublishedTokenizers, PassTheTokenizerCases) {
  if (!exists(kPublished)) GTEST_SKIP() << kPublished << " is absent";
  TokenizerSpec spec = published("deepseek-v3").spec();
  spec.bos_token = kBosToken;
  const Tokenizer tokenizer(spec);
  size_t checks = 0;
  for (const char* id : {"B01", "B02", "B03"}) {
    const std::string path = kShared + "cases/tokenizer/" + id + ".json";
    const Json file = parse_json(read_file(path), path);
    for (const Json& check : file.at("checks").items()) {
      SCOPED_TRACE(std::string(id) + ": " + check.string_at("name"));
      if (check.at("input").contains("messages")) {
        check_chat_case(tokenizer, check);
      } else {
        check_text_case(tokenizer, check);
      }
      ++checks;
    }
  }
  EXPECT_EQ(checks, 55u);
}

TEST(PublishedTokenizers, StreamAsCaseB35Says) {
  if (!exists(kPublished)) GTEST_SKIP() << kPublished << " is absent";
  const Tokenizer tokenizer = published("deepseek-v3");
  const std::string path = kShared + "cases/streaming/B35.json";
  const Json file = parse_json(read_file(path), path);
  for (const Json& check : file.at("checks").items()) {
    SCOPED_TRACE(check.string_at("name"));
    const std::vector<int32_t> ids = ids_of(check.at("input").at("ids"));
    const Json& deltas = check.at("expect").at("delta_after_each_id");
    StreamDecoder decoder(tokenizer);
    for (size_t i = 0; i < ids.size(); ++i) {
      EXPECT_EQ(decoder.push(ids[i]), deltas.at(i).as_string()) << "id " << i;
    }
    EXPECT_EQ(decoder.finish(), check.at("expect").string_at("delta_at_end"));
    EXPECT_EQ(tokenizer.decode(ids), check.at("expect").string_at("text"));
  }
}

}  // namespace
}  // namespace fathom
