// tokenizer.json and tokenizer_config.json: reading with every unsupported feature refused by name,
// and writing.
#include <algorithm>
#include <utility>

#include "base/error.h"
#include "io/files.h"
#include "io/json.h"
#include "text/tokenizer.h"

namespace fathom {
namespace {

[[noreturn]] void unsupported(const std::string& where, const std::string& feature) {
  fail(ErrorCode::kModel, where, ": ", feature,
       " is not supported yet; expected a byte-level or character ",
       "tokenizer without merges, as made by byte_tokenizer() or character_tokenizer()");
}

// A key that is missing, a value of the wrong kind or an unreadable file is a fault of the model
// folder, and the message says of which file.
template <class Function>
Tokenizer with_model_errors(const std::string& where, const Function& read) {
  try {
    return read();
  } catch (const Error& error) {
    const std::string message = error.what();
    const bool named = message.find(where) != std::string::npos;
    throw Error(ErrorCode::kModel, named ? message : where + ": " + message);
  }
}

// A member that is present and not null.
const Json* given(const Json& object, std::string_view key) {
  const Json* value = object.find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::string type_of(const Json& step) { return step.string_or("type", "without a type"); }

// A Sequence of exactly one step is that step, an empty one is none.
const Json* unwrap(const Json* step, std::string_view list_key) {
  if (step == nullptr || type_of(*step) != "Sequence") return step;
  const Json::Array& items = step->at(list_key).items(list_key);
  if (items.empty()) return nullptr;
  return items.size() == 1 ? &items[0] : step;
}

void check_model(const Json& model, const std::string& where) {
  if (type_of(model) != "BPE") unsupported(where, concat("model type ", type_of(model)));
  const Json* merges = given(model, "merges");
  if (merges != nullptr && !merges->items("merges").empty()) {
    unsupported(where, concat("BPE with merges (", merges->size(), " of them)"));
  }
  for (const char* key : {"dropout", "unk_token"}) {
    if (given(model, key) != nullptr) unsupported(where, concat("model.", key));
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!model.string_or(key, "").empty()) unsupported(where, concat("model.", key));
  }
  for (const char* key : {"fuse_unk", "byte_fallback", "ignore_merges"}) {
    if (model.bool_or(key, false)) unsupported(where, concat("model.", key));
  }
}

SymbolKind read_kind(const Json& file, const std::string& where) {
  const Json* step = unwrap(given(file, "pre_tokenizer"), "pretokenizers");
  if (step == nullptr) return SymbolKind::kCharacters;
  if (type_of(*step) != "ByteLevel") unsupported(where, concat("pre_tokenizer ", type_of(*step)));
  if (step->bool_or("add_prefix_space", true))
    unsupported(where, "ByteLevel with add_prefix_space");
  if (step->bool_or("use_regex", true)) unsupported(where, "ByteLevel with use_regex");
  return SymbolKind::kBytes;
}

void check_pipeline(const Json& file, SymbolKind kind, const std::string& where) {
  for (const char* key : {"truncation", "padding"}) {
    if (given(file, key) != nullptr) unsupported(where, key);
  }
  if (const Json* step = unwrap(given(file, "normalizer"), "normalizers")) {
    unsupported(where, concat("normalizer ", type_of(*step)));
  }
  const Json* after = unwrap(given(file, "post_processor"), "processors");
  // The ByteLevel post-processor only moves offsets, not ids.
  if (after != nullptr && type_of(*after) != "ByteLevel") {
    unsupported(where, concat("post_processor ", type_of(*after)));
  }
  const Json* decoder = unwrap(given(file, "decoder"), "decoders");
  const std::string expected = kind == SymbolKind::kBytes ? "ByteLevel" : "Fuse";
  const std::string got = decoder == nullptr ? "null" : type_of(*decoder);
  if (got != expected) unsupported(where, concat("decoder ", got, " (expected ", expected, ")"));
}

int32_t read_id(const Json& value, const std::string& where) {
  const int64_t id = value.as_int(where);
  if (id < 0 || id > INT32_MAX)
    fail(ErrorCode::kModel, where, ": token id ", id, " is out of range");
  return static_cast<int32_t>(id);
}

std::vector<AddedToken> read_added_tokens(const Json& file, const std::string& where) {
  std::vector<AddedToken> tokens;
  const Json* list = given(file, "added_tokens");
  if (list == nullptr) return tokens;
  for (const Json& item : list->items("added_tokens")) {
    AddedToken token{read_id(item.at("id"), where), item.string_at("content"),
                     item.bool_or("special", false), item.bool_or("normalized", false)};
    for (const char* flag : {"single_word", "lstrip", "rstrip"}) {
      if (item.bool_or(flag, false)) {
        unsupported(where, concat("added token ", token.content, " with ", flag));
      }
    }
    tokens.push_back(std::move(token));
  }
  std::sort(tokens.begin(), tokens.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  return tokens;
}

// Files list added tokens in the vocabulary too, where their ids must agree.
std::vector<VocabEntry> read_vocab(const Json& model, const std::vector<AddedToken>& added,
                                   const std::string& where) {
  std::vector<VocabEntry> vocab;
  for (const auto& [symbol, value] : model.at("vocab").members("vocab")) {
    const int32_t id = read_id(value, where);
    const auto same_text = std::find_if(added.begin(), added.end(), [&](const AddedToken& token) {
      return token.content == symbol;
    });
    if (same_text == added.end()) {
      vocab.push_back({symbol, id});
    } else if (same_text->id != id) {
      fail(ErrorCode::kModel, where, ": token ", symbol, " has id ", id, " in model.vocab and ",
           same_text->id, " in added_tokens");
    }
  }
  return vocab;
}

// "bos_token" and its kin are a string or an object with the string in "content".
std::string read_named_token(const Json& config, std::string_view key) {
  const Json* value = given(config, key);
  if (value == nullptr) return "";
  return value->is_object() ? value->string_at("content") : value->as_string(key);
}

void read_config(const Json& config, TokenizerSpec& spec) {
  spec.bos_token = read_named_token(config, "bos_token");
  spec.eos_token = read_named_token(config, "eos_token");
  spec.pad_token = read_named_token(config, "pad_token");
  spec.add_bos_token = config.bool_or("add_bos_token", false);
  const Json* chat = given(config, "chat_template");
  if (chat != nullptr && chat->is_string()) spec.chat_template = chat->as_string("chat_template");
}

Json added_token_json(const AddedToken& token) {
  return Json::object({{"id", token.id},
                       {"content", token.content},
                       {"single_word", false},
                       {"lstrip", false},
                       {"rstrip", false},
                       {"normalized", token.normalized},
                       {"special", token.special}});
}

Json byte_level_json(bool add_prefix_space, bool trim_offsets, bool use_regex) {
  return Json::object({{"type", "ByteLevel"},
                       {"add_prefix_space", add_prefix_space},
                       {"trim_offsets", trim_offsets},
                       {"use_regex", use_regex}});
}

// Added tokens stand in the vocabulary too: readers number those that do not behind it, whatever
// their "id" says.
Json vocab_json(const TokenizerSpec& spec) {
  std::vector<VocabEntry> entries = spec.vocab;
  for (const AddedToken& token : spec.added_tokens) entries.push_back({token.content, token.id});
  std::sort(entries.begin(), entries.end(),
            [](const VocabEntry& a, const VocabEntry& b) { return a.id < b.id; });
  Json vocab = Json::object();
  for (const VocabEntry& entry : entries) vocab[entry.symbol] = entry.id;
  return vocab;
}

Json model_json(const TokenizerSpec& spec) {
  return Json::object({{"type", "BPE"},
                       {"dropout", nullptr},
                       {"unk_token", nullptr},
                       {"continuing_subword_prefix", nullptr},
                       {"end_of_word_suffix", nullptr},
                       {"fuse_unk", false},
                       {"byte_fallback", false},
                       {"ignore_merges", false},
                       {"vocab", vocab_json(spec)},
                       {"merges", Json::array()}});
}

}  // namespace

Tokenizer Tokenizer::from_json(std::string_view tokenizer_json, std::string_view config_json,
                               const std::string& where) {
  return with_model_errors(where, [&] {
    const Json file = parse_json(tokenizer_json, where, ErrorCode::kModel);
    TokenizerSpec spec;
    check_model(file.at("model"), where);
    spec.kind = read_kind(file, where);
    check_pipeline(file, spec.kind, where);
    spec.added_tokens = read_added_tokens(file, where);
    spec.vocab = read_vocab(file.at("model"), spec.added_tokens, where);
    if (!config_json.empty()) {
      read_config(parse_json(config_json, where + " (config)", ErrorCode::kModel), spec);
    }
    return Tokenizer(std::move(spec));
  });
}

std::string Tokenizer::tokenizer_json() const {
  const bool bytes = spec_.kind == SymbolKind::kBytes;
  Json added = Json::array();
  for (const AddedToken& token : spec_.added_tokens) added.push_back(added_token_json(token));
  const Json file = Json::object(
      {{"version", "1.0"},
       {"truncation", nullptr},
       {"padding", nullptr},
       {"added_tokens", added},
       {"normalizer", nullptr},
       {"pre_tokenizer", bytes ? byte_level_json(false, true, false) : Json()},
       {"post_processor", nullptr},
       {"decoder", bytes ? byte_level_json(true, true, true) : Json::object({{"type", "Fuse"}})},
       {"model", model_json(spec_)}});
  return file.dump(2) + "\n";
}

std::string Tokenizer::config_json() const {
  Json config = Json::object({{"tokenizer_class", "PreTrainedTokenizerFast"},
                              {"add_bos_token", spec_.add_bos_token},
                              {"add_eos_token", false},
                              {"clean_up_tokenization_spaces", false}});
  if (!spec_.bos_token.empty()) config["bos_token"] = spec_.bos_token;
  if (!spec_.eos_token.empty()) config["eos_token"] = spec_.eos_token;
  if (!spec_.pad_token.empty()) config["pad_token"] = spec_.pad_token;
  if (!spec_.chat_template.empty()) config["chat_template"] = spec_.chat_template;
  return config.dump(2) + "\n";
}

Tokenizer Tokenizer::load(const std::string& folder) {
  const std::string path = join_path(folder, "tokenizer.json");
  const std::string config_path = join_path(folder, "tokenizer_config.json");
  return with_model_errors(path, [&] {
    const std::string config = exists(config_path) ? read_file(config_path) : "";
    return from_json(read_file(path), config, path);
  });
}

void Tokenizer::save(const std::string& folder) const {
  write_file_atomically(join_path(folder, "tokenizer.json"), tokenizer_json());
  write_file_atomically(join_path(folder, "tokenizer_config.json"), config_json());
}

}  // namespace fathom
