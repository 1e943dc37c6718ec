#include "data/pack.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "base/stop.h"
#include "data/documents.h"
#include "data/packed_text.h"
#include "io/files.h"
#include "text/tokenizer_presets.h"

namespace fathom {
namespace {

class PackTest : public testing::Test {
 protected:
  void SetUp() override {
    remove_all(folder_);
    make_directories(folder_);
  }
  void TearDown() override { remove_all(folder_); }

  std::string path(const std::string& name) const { return join_path(folder_, name); }
  std::string file(const std::string& name, const std::string& content) {
    write_file_atomically(path(name), content);
    return path(name);
  }
  PackedSummary pack(PackConfig config, const std::string& out) {
    problems_.clear();
    return pack_texts(tokenizer_, config, path(out),
                      {.progress = {}, .bad_document = [this](const std::string& problem) {
                         problems_.push_back(problem);
                       }});
  }
  std::string refusal(const std::function<void()>& work) {
    try {
      work();
    } catch (const Error& error) {
      return error.what();
    }
    return "not refused";
  }

  std::string folder_ = testing::TempDir() + "pack_test";
  Tokenizer tokenizer_ = byte_tokenizer();
  std::vector<std::string> problems_;
};

std::vector<int32_t> all_ids(PackedText& text) {
  std::vector<int32_t> ids(static_cast<size_t>(text.tokens()));
  text.read(0, ids);
  return ids;
}

std::string numbered_lines(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += concat("line number ", i, "\n");
  return text;
}

TEST_F(PackTest, HoldsTheDocumentsInOrderOverManyShards) {
  const std::string long_text = numbered_lines(3000);
  PackConfig config;
  config.files = {file("a.jsonl", "{\"text\":\"one\"}\n{\"text\":\"two\"}\n"),
                  file("b.txt", long_text), file("c.txt", "end")};
  config.shard_tokens = 20;
  config.sizes.part_bytes = 1000;
  const PackedSummary summary = pack(config, "out");
  Document expected =
      concatenate({text_document(tokenizer_, "one"), text_document(tokenizer_, "two"),
                   text_document(tokenizer_, long_text), text_document(tokenizer_, "end")});
  PackedText text({path("out")});
  EXPECT_EQ(all_ids(text), expected.ids);
  EXPECT_EQ(summary.documents, 4);
  EXPECT_EQ(summary.shards.size(), 2u);
  EXPECT_EQ(text.documents(), 4);
  EXPECT_EQ(summary.id_bytes, 2);
  EXPECT_EQ(summary.text_bytes, static_cast<int64_t>(long_text.size()) + 30 + 3);
  std::vector<int32_t> across(40);
  text.read(expected.tokens() - 40, across);
  EXPECT_TRUE(std::equal(across.begin(), across.end(), expected.ids.end() - 40));
  EXPECT_EQ(Tokenizer::load(path("out")).tokenizer_json(), tokenizer_.tokenizer_json());
}

TEST_F(PackTest, BadLinesAreNamedAndCountedAndTooManyAreAnError) {
  PackConfig config;
  config.files = {file("a.jsonl",
                       "{\"text\":\"one\"}\n{\"text\":5}\nnot json\n{\"other\":1}\n"
                       "{\"text\":\"\xFF\"}\n{\"text\":\"two\"}\n")};
  config.max_bad_lines = 4;
  const PackedSummary summary = pack(config, "out");
  EXPECT_EQ(summary.bad_documents, 4);
  EXPECT_EQ(summary.documents, 2);
  ASSERT_EQ(problems_.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NE(problems_[i].find(concat("a.jsonl:", i + 2)), std::string::npos) << problems_[i];
  }
  config.max_bad_lines = 3;
  const std::string message = refusal([&] { pack(config, "other"); });
  EXPECT_NE(message.find("--max-bad-lines"), std::string::npos) << message;
  EXPECT_NE(message.find("a.jsonl:5"), std::string::npos) << message;
  EXPECT_EQ(list_directory(folder_), (std::vector<std::string>{"a.jsonl", "out"}));
}

TEST_F(PackTest, ATextThatGoesBadInALaterPartLeavesNothingBehind) {
  PackConfig config;
  config.files = {file("a.txt", "first"), file("b.txt", numbered_lines(500) + "\xFF"),
                  file("c.txt", "z"), file("d.txt", "\xFF" + numbered_lines(500))};
  config.sizes.part_bytes = 100;
  const PackedSummary summary = pack(config, "out");
  EXPECT_EQ(summary.bad_documents, 2);
  EXPECT_EQ(problems_.size(), 2u);
  PackedText text({path("out")});
  EXPECT_EQ(all_ids(text),
            concatenate({text_document(tokenizer_, "first"), text_document(tokenizer_, "z")}).ids);
  text.check_all();
}

TEST_F(PackTest, AnyChangedByteIsFoundBeforeItIsUsed) {
  PackConfig config;
  config.files = {file("a.txt", numbered_lines(20000))};
  const PackedSummary summary = pack(config, "out");
  const std::string shard = join_path(path("out"), summary.shards[0].file);
  const std::string whole = read_file(shard);
  ASSERT_GT(whole.size(), 3 * kHashedBlock);
  for (size_t at = 0; at < whole.size(); at += whole.size() / 97) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 4);
    write_file_atomically(shard, changed);
    const std::string message = refusal([&] { PackedText({path("out")}).check_all(); });
    EXPECT_NE(message.find(summary.shards[0].file), std::string::npos) << at << ": " << message;
  }
  for (const size_t size : {size_t{0}, size_t{63}, whole.size() - 8, whole.size() + 1}) {
    std::string cut = whole;
    cut.resize(size);
    write_file_atomically(shard, cut);
    EXPECT_NE(refusal([&] { PackedText({path("out")}); }).find("bytes"), std::string::npos);
  }
  write_file_atomically(shard, whole);
  PackedText({path("out")}).check_all();
}

TEST_F(PackTest, AChangedBlockIsRefusedOnlyWhereItIsRead) {
  PackConfig config;
  config.files = {file("a.txt", numbered_lines(20000))};
  const PackedSummary summary = pack(config, "out");
  const std::string shard = join_path(path("out"), summary.shards[0].file);
  std::string changed = read_file(shard);
  changed[sizeof(ShardHeader) + kHashedBlock] ^= 1;
  write_file_atomically(shard, changed);
  PackedText text({path("out")});
  std::vector<int32_t> ids(kHashedBlock / 2);
  text.read(0, ids);
  EXPECT_THROW(text.read(1, ids), Error);
}

// A byte tokenizer with the marks of a hole.
Tokenizer filling_tokenizer() {
  TokenizerSpec spec = byte_tokenizer().spec();
  int32_t id = byte_tokenizer().vocab_size();
  for (const char* mark : {"<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"})
    spec.added_tokens.push_back({id++, mark, true, false});
  return Tokenizer(std::move(spec));
}

// Where each part of "[bos] begin prefix hole suffix end middle [eos]" stands, put together again.
std::string whole_text(const Tokenizer& tokenizer, std::string_view text) {
  const auto between = [&text](std::string_view a, std::string_view b) {
    const size_t begin = text.find(a) + a.size();
    return std::string(text.substr(begin, text.find(b) - begin));
  };
  EXPECT_TRUE(tokenizer.control().eos);
  return between("<｜fim▁begin｜>", "<｜fim▁hole｜>") + between("<｜fim▁end｜>", kEosToken) +
         between("<｜fim▁hole｜>", "<｜fim▁end｜>");
}

TEST_F(PackTest, AShareOfTheDocumentsGetsAHoleAndLosesNothing) {
  tokenizer_ = filling_tokenizer();
  const FillInMiddle fill{.rate = 0.1, .seed = 7};
  TextPart part;
  part.text = "añb🦙 text to be cut";
  int filled = 0;
  std::map<std::string, int> kinds;
  for (part.document = 0; part.document < 5000; ++part.document) {
    const std::string text = tokenizer_.decode(encode_part(tokenizer_, part, fill).ids);
    if (text.find("fim") == std::string::npos) continue;
    ++filled;
    ++kinds[text];
    EXPECT_EQ(whole_text(tokenizer_, text), part.text);
  }
  EXPECT_NEAR(filled, 500, 5 * std::sqrt(5000 * 0.1 * 0.9));
  EXPECT_GT(kinds.size(), 100u);  // of the 210 pairs of cuts
  part.last = false;
  const EncodedPart open = encode_part(tokenizer_, part, {.rate = 1, .seed = 7});
  EXPECT_EQ(open.ids, encode_part(tokenizer_, part).ids);
}

TEST_F(PackTest, HolesNeedATokenizerWithTheirMarksAndARateOfOneGivesEachDocumentOne) {
  PackConfig config;
  config.files = {file("a.jsonl", "{\"text\":\"one\"}\n{\"text\":\"two\"}\n")};
  config.fill.rate = 1;
  EXPECT_NE(refusal([&] { pack(config, "out"); }).find("--fim-rate"), std::string::npos);
  tokenizer_ = filling_tokenizer();
  pack(config, "out");
  PackedText text({path("out")});
  const std::vector<int32_t> ids = all_ids(text);
  const int32_t begin = *tokenizer_.added_token_id("<｜fim▁begin｜>");
  EXPECT_EQ(std::count(ids.begin(), ids.end(), begin), 2);
}

TEST_F(PackTest, StoppedOrRefusedWorkLeavesNoFolder) {
  PackConfig config;
  config.files = {file("a.txt", "text")};
  request_stop(2);
  EXPECT_THROW(pack(config, "out"), Error);
  clear_stop();
  EXPECT_FALSE(exists(path("out")));
  pack(config, "out");
  EXPECT_NE(refusal([&] { pack(config, "out"); }).find("already"), std::string::npos);
  config.files = {file("empty.txt", "")};
  EXPECT_THROW(pack(config, "other"), Error);
}

}  // namespace
}  // namespace fathom
