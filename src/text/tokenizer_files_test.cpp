#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "base/error.h"
#include "io/files.h"
#include "io/json.h"
#include "text/chat.h"
#include "text/testing.h"
#include "text/tokenizer.h"
#include "text/tokenizer_presets.h"

namespace fathom {
namespace {

std::string refusal(const std::string& tokenizer_json, const std::string& config = "") {
  try {
    Tokenizer::from_json(tokenizer_json, config, "here.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kModel);
    EXPECT_NE(std::string(error.what()).find("here.json"), std::string::npos) << error.what();
    return error.what();
  }
  return "not refused";
}

// The byte tokenizer's file with one change.
std::string changed(const std::function<void(Json&)>& change) {
  Json file = parse_json(byte_tokenizer().tokenizer_json(), "test");
  change(file);
  return file.dump();
}

Json split_json(const std::string& pattern, const std::string& behavior) {
  return Json::object({{"type", "Split"},
                       {"pattern", Json::object({{"Regex", pattern}})},
                       {"behavior", behavior},
                       {"invert", false}});
}

// The sequence is "A", everything else a special token.
Json template_json(const std::vector<std::string>& pieces) {
  Json single = Json::array();
  for (const std::string& piece : pieces) {
    single.push_back(Json::object(
        {{piece == "A" ? "Sequence" : "SpecialToken", Json::object({{"id", piece}})}}));
  }
  return Json::object({{"type", "TemplateProcessing"}, {"single", single}});
}

// A file of 200 bytes took half a gigabyte for the ids below its highest.
TEST(TokenizerFiles, IdsFarBeyondTheVocabularyAreRefused) {
  const auto with_id = [](int64_t id) {
    return changed([&](Json& file) { file["model"]["vocab"]["spare"] = id; });
  };
  EXPECT_NE(refusal(with_id((1 << 24) - 1)).find("'spare' has the id 16777215"), std::string::npos);
  EXPECT_EQ(Tokenizer::from_json(with_id(1 << 18), "", "test").vocab_size(), (1 << 18) + 1);
}

// Text of that letter took a million steps for each byte.
TEST(TokenizerFiles, AddedTokensOfAMegabyteAreRefused) {
  const auto with_bytes = [](size_t bytes) {
    return changed([&](Json& file) {
      const std::string content = std::string(bytes - 1, 'a') + "b";
      file["added_tokens"].push_back(Json::object({{"id", 263}, {"content", content}}));
    });
  };
  EXPECT_NE(refusal(with_bytes(1'000'000)).find("has 1000000 bytes"), std::string::npos);
  EXPECT_EQ(refusal(with_bytes(1024)), "not refused");
}

// " a" became the id of a token that is shown as the letters Ġa.
TEST(TokenizerFiles, MergesThatArriveAtAnAddedTokenOfOtherTextAreRefused) {
  const auto with_token = [](const std::string& left, const std::string& right) {
    return changed([&](Json& file) {
      file["model"]["vocab"][left + right] = 263;
      file["model"]["merges"] = Json::array({left + " " + right});
      file["added_tokens"].push_back(Json::object({{"id", 263}, {"content", left + right}}));
    });
  };
  EXPECT_NE(refusal(with_token("Ġ", "a")).find("added token 'Ġa'"), std::string::npos);
  const Tokenizer same = Tokenizer::from_json(with_token("a", "b"), "", "test");
  EXPECT_EQ(same.decode(same.encode("abab")), "abab");
}

TEST(TokenizerFiles, WrittenAndReadBackAreTheSameTokenizer) {
  const std::string folder = testing::TempDir() + "tokenizer_files_test";
  std::filesystem::create_directories(folder);
  for (const Tokenizer& made : {byte_tokenizer(), character_tokenizer("\n\"\\é🦙ab", true)}) {
    made.save(folder);
    const Tokenizer read = Tokenizer::load(folder);
    EXPECT_EQ(read.tokenizer_json(), made.tokenizer_json());
    EXPECT_EQ(read.config_json(), made.config_json());
    EXPECT_EQ(read.spec().kind, made.spec().kind);
    EXPECT_EQ(read.spec().add_bos_token, made.spec().add_bos_token);
    const std::string text = "a\n\"é🦙\\b";
    EXPECT_EQ(read.encode(text), made.encode(text));
    EXPECT_EQ(read.decode(read.encode(text)), text);
    EXPECT_EQ(read.control().end_think, 6);
    EXPECT_EQ(read.control().bos, 1);
    EXPECT_TRUE(read.is_special(2));
    EXPECT_FALSE(read.is_special(3));
  }
  std::filesystem::remove_all(folder);
}

TEST(TokenizerFiles, ConfigSaysWhatOtherProgramsNeed) {
  const Json config = parse_json(byte_tokenizer().config_json(), "test");
  EXPECT_EQ(config.string_at("tokenizer_class"), "PreTrainedTokenizerFast");
  EXPECT_EQ(config.string_at("pad_token"), kPadToken);
  EXPECT_EQ(config.string_at("chat_template"), chat_template());
  EXPECT_FALSE(config.bool_at("clean_up_tokenization_spaces"));
}

TEST(TokenizerFiles, RefusesUnsupportedFeaturesByName) {
  const auto expect = [](const std::string& file, const std::string& name) {
    const std::string message = refusal(file);
    EXPECT_NE(message.find(name), std::string::npos) << message;
  };
  expect(changed([](Json& f) { f["model"]["type"] = "WordPiece"; }), "model type WordPiece");
  expect(changed([](Json& f) { f["model"]["merges"] = Json::array({"a b"}); }),
         "merges[0] needs the symbol 'ab'");
  expect(changed([](Json& f) { f["model"]["unk_token"] = "<unk>"; }), "model.unk_token");
  expect(changed([](Json& f) { f["model"]["byte_fallback"] = true; }), "model.byte_fallback");
  expect(changed([](Json& f) { f["normalizer"]["type"] = "NFKC"; }), "normalizer NFKC");
  expect(changed([](Json& f) { f["pre_tokenizer"]["type"] = "Metaspace"; }), "Metaspace");
  expect(changed([](Json& f) { f["pre_tokenizer"]["use_regex"] = true; }), "use_regex");
  expect(changed([](Json& f) { f["pre_tokenizer"]["add_prefix_space"] = true; }),
         "add_prefix_space");
  expect(changed([](Json& f) { f["pre_tokenizer"] = split_json("a", "Removed"); }), "Removed");
  expect(changed([](Json& f) { f["pre_tokenizer"] = split_json("a", "Isolated"); }),
         "without ByteLevel at its end");
  expect(changed([](Json& f) {
           const Json steps = Json::array({split_json("a(", "Isolated"), f.at("pre_tokenizer")});
           f["pre_tokenizer"] = Json::object({{"type", "Sequence"}, {"pretokenizers", steps}});
         }),
         "'a(' is not understood at byte 2");
  expect(changed([](Json& f) { f["post_processor"]["type"] = "BertProcessing"; }),
         "post_processor BertProcessing");
  expect(changed([](Json& f) {
           f["post_processor"] = template_json({"<s>", "A", "</s>"});
         }),
         "TemplateProcessing");
  expect(changed([](Json& f) { f["decoder"] = nullptr; }), "decoder null");
  expect(changed([](Json& f) { f["truncation"]["max_length"] = 5; }), "truncation");
}

TEST(TokenizerFiles, AcceptsStepsWrappedInSequences) {
  const std::string file = changed([](Json& f) {
    Json step = f.at("pre_tokenizer");
    f["pre_tokenizer"] =
        Json::object({{"type", "Sequence"}, {"pretokenizers", Json::array({step})}});
    f["normalizer"] = Json::object({{"type", "Sequence"}, {"normalizers", Json::array()}});
    f["post_processor"] = step;
  });
  EXPECT_EQ(Tokenizer::from_json(file, "", "test").encode("a"), (std::vector<int32_t>{7 + 'a'}));
}

TEST(TokenizerFiles, RefusesFilesThatAreDamaged) {
  const std::string whole = byte_tokenizer().tokenizer_json();
  EXPECT_NE(refusal(whole.substr(0, whole.size() / 2)), "not refused");
  EXPECT_NE(refusal("{}"), "not refused");
  EXPECT_NE(refusal("[]"), "not refused");
  EXPECT_NE(refusal(changed([](Json& f) { f["model"]["vocab"].erase("a"); })), "not refused");
  EXPECT_NE(refusal(changed([](Json& f) { f["model"]["vocab"]["a"] = -1; })), "not refused");
  EXPECT_NE(refusal(changed([](Json& f) { f["model"]["vocab"]["a"] = "x"; })), "not refused");
  EXPECT_NE(refusal(changed([](Json& f) { f["model"]["vocab"]["<think>"] = 99; })), "not refused");
  EXPECT_NE(refusal(whole, R"({"eos_token": "<nowhere>"})"), "not refused");
  EXPECT_NE(refusal(whole, R"({"eos_token": 5})"), "not refused");
}

// Bytes changed, taken out or doubled: such a file is read or refused, and what is read encodes.
TEST(TokenizerFiles, ReadsOrRefusesDamagedFilesWhateverTheDamage) {
  Draws draws(1);
  const std::string whole =
      read_file(FATHOM_SOURCE_DIR "/tests/vectors/tokenizers/deepseek-v3.json");
  int read = 0, refused = 0;
  for (int round = 0; round < 400; ++round) {
    std::string text = whole;
    for (uint64_t edits = 1 + draws.below(3); edits > 0; --edits) {
      const size_t at = draws.below(text.size()), length = 1 + draws.below(12);
      switch (draws.below(4)) {
        case 0:
          text[at] = static_cast<char>(draws.below(256));
          break;
        case 1:
          text.erase(at, length);
          break;
        case 2:
          text.insert(at, text.substr(draws.below(text.size()), length));
          break;
        default:
          text[at] = "0123456789\"{}[],: "[draws.below(18)];
          break;
      }
    }
    try {
      const Tokenizer tokenizer = Tokenizer::from_json(text, "", "damaged");
      tokenizer.decode(
          tokenizer.encode("The 3 cafés <think>\n你好 🦙", {.parse_special = true}));
      ++read;
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(read, 5);
  EXPECT_GT(refused, 20);
}

TEST(TokenizerFiles, AFolderWithoutTokenizerIsAFaultOfTheModelFolder) {
  try {
    Tokenizer::load(testing::TempDir() + "nothing_here");
    FAIL() << "loaded a tokenizer from nowhere";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kModel);
  }
}

TEST(TokenizerFiles, ReadsNamedTokensGivenAsObjects) {
  const std::string config = R"({"bos_token": {"content": "<｜User｜>"}, "add_bos_token": true})";
  const Tokenizer read = Tokenizer::from_json(byte_tokenizer().tokenizer_json(), config, "test");
  EXPECT_EQ(read.control().bos, 3);
  EXPECT_FALSE(read.control().eos.has_value());
  EXPECT_TRUE(read.spec().add_bos_token);
}

TEST(TokenizerFiles, ATemplateThatPutsOneTokenInFrontNamesBos) {
  const std::string file = changed([](Json& f) {
    f["post_processor"] = template_json({"<｜User｜>", "A"});
  });
  const Tokenizer read = Tokenizer::from_json(file, "", "test");
  EXPECT_EQ(read.control().bos, 3);
  EXPECT_TRUE(read.spec().add_bos_token);
  const Tokenizer told = Tokenizer::from_json(
      file, R"({"bos_token": "<｜begin▁of▁sentence｜>", "add_bos_token": false})", "test");
  EXPECT_EQ(told.control().bos, 1);
  EXPECT_FALSE(told.spec().add_bos_token);
}

}  // namespace
}  // namespace fathom
