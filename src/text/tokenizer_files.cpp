// Reading tokenizer.json and tokenizer_config.json, with every unsupported feature refused by name.
#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "io/files.h"
#include "io/json.h"
#include "text/tokenizer.h"

namespace fathom {
namespace {

[[noreturn]] void unsupported(const std::string& where, const std::string& feature) {
  fail(ErrorCode::kModel, where, ": ", feature, " is not supported; expected a BPE model with the ",
       "steps Split (Isolated), Digits and ByteLevel, or one of characters, as published for the ",
       "DeepSeek, Qwen2 and Llama 3 families");
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

// The steps of a Sequence, or the one step, or none.
std::vector<const Json*> steps_of(const Json& file, std::string_view key,
                                  std::string_view list_key) {
  std::vector<const Json*> steps;
  const Json* step = given(file, key);
  if (step == nullptr) return steps;
  if (type_of(*step) != "Sequence") return {step};
  for (const Json& item : step->at(list_key).items(list_key)) steps.push_back(&item);
  return steps;
}

void check_model(const Json& model, const std::string& where) {
  if (type_of(model) != "BPE") unsupported(where, concat("model type ", type_of(model)));
  for (const char* key : {"dropout", "unk_token"}) {
    if (given(model, key) != nullptr) unsupported(where, concat("model.", key));
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!model.string_or(key, "").empty()) unsupported(where, concat("model.", key));
  }
  for (const char* key : {"fuse_unk", "byte_fallback"}) {
    if (model.bool_or(key, false)) unsupported(where, concat("model.", key));
  }
}

void check_byte_level(const Json& step, const std::string& where) {
  if (step.bool_or("add_prefix_space", true)) unsupported(where, "ByteLevel with add_prefix_space");
  if (step.bool_or("use_regex", true)) unsupported(where, "ByteLevel with use_regex");
}

SplitStep read_split_step(const Json& step, const std::string& where) {
  SplitStep split;
  if (type_of(step) == "Digits") {
    split.kind = SplitStep::Kind::kDigits;
    split.individual_digits = step.bool_or("individual_digits", false);
    return split;
  }
  if (type_of(step) != "Split") unsupported(where, concat("pre_tokenizer ", type_of(step)));
  const std::string behavior = step.string_at("behavior");
  if (behavior != "Isolated") unsupported(where, concat("Split with behavior ", behavior));
  if (step.bool_or("invert", false)) unsupported(where, "Split with invert");
  const Json* regex = step.at("pattern").find("Regex");
  if (regex == nullptr) unsupported(where, "Split with a pattern that is no Regex");
  split.pattern = regex->as_string("pattern.Regex");
  return split;
}

// Byte-level files end with a ByteLevel step; a file without any step is one of characters.
void read_pre_tokenizer(const Json& file, TokenizerSpec& spec, const std::string& where) {
  const std::vector<const Json*> steps = steps_of(file, "pre_tokenizer", "pretokenizers");
  spec.kind = steps.empty() ? SymbolKind::kCharacters : SymbolKind::kBytes;
  for (const Json* step : steps) {
    if (type_of(*step) == "ByteLevel" && step == steps.back()) {
      check_byte_level(*step, where);
    } else {
      spec.split.push_back(read_split_step(*step, where));
    }
  }
  if (spec.split.size() == steps.size() && !steps.empty())
    unsupported(where, "pre_tokenizer without ByteLevel at its end");
}

void read_normalizer(const Json& file, TokenizerSpec& spec, const std::string& where) {
  for (const Json* step : steps_of(file, "normalizer", "normalizers")) {
    if (type_of(*step) != "NFC") unsupported(where, concat("normalizer ", type_of(*step)));
    spec.normalizer = Normalizer::kNfc;
  }
}

// TemplateProcessing may put one token, which is bos, in front.
std::string read_template_bos(const Json& step, const std::string& where) {
  const Json::Array& single = step.at("single").items("single");
  const bool has_bos = single.size() == 2 && single[0].contains("SpecialToken");
  if (single.empty() || single.size() > (has_bos ? 2u : 1u) || !single.back().contains("Sequence"))
    unsupported(where, "TemplateProcessing with more than a begin token");
  return has_bos ? single[0].at("SpecialToken").string_at("id") : "";
}

// The ByteLevel post-processor only moves offsets, not ids.
void read_post_processor(const Json& file, TokenizerSpec& spec, const std::string& where) {
  for (const Json* step : steps_of(file, "post_processor", "processors")) {
    if (type_of(*step) == "ByteLevel") continue;
    if (type_of(*step) != "TemplateProcessing")
      unsupported(where, concat("post_processor ", type_of(*step)));
    spec.bos_token = read_template_bos(*step, where);
    spec.add_bos_token = !spec.bos_token.empty();
  }
}

void check_decoder(const Json& file, SymbolKind kind, const std::string& where) {
  const std::vector<const Json*> steps = steps_of(file, "decoder", "decoders");
  const std::string expected = kind == SymbolKind::kBytes ? "ByteLevel" : "Fuse";
  const std::string got = steps.empty()       ? "null"
                          : steps.size() == 1 ? type_of(*steps[0])
                                              : concat(steps.size(), " steps");
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
  std::unordered_map<std::string_view, int32_t> added_ids;
  for (const AddedToken& token : added) added_ids[token.content] = token.id;
  std::vector<VocabEntry> vocab;
  for (const auto& [symbol, value] : model.at("vocab").members("vocab")) {
    const int32_t id = read_id(value, where);
    const auto same_text = added_ids.find(symbol);
    if (same_text == added_ids.end()) {
      vocab.push_back({symbol, id});
    } else if (same_text->second != id) {
      fail(ErrorCode::kModel, where, ": token ", symbol, " has id ", id, " in model.vocab and ",
           same_text->second, " in added_tokens");
    }
  }
  return vocab;
}

// "left right" or ["left", "right"].
std::pair<std::string_view, std::string_view> read_pair(const Json& item, const std::string& name) {
  if (!item.is_string()) {
    const Json::Array& pair = item.items(name);
    if (pair.size() != 2) fail(ErrorCode::kModel, name, " is a list of ", pair.size(), ", not 2");
    return {pair[0].as_string(name), pair[1].as_string(name)};
  }
  const std::string_view text = item.as_string(name);
  const size_t space = text.find(' ');
  if (space == text.npos) fail(ErrorCode::kModel, name, " is '", text, "', not two symbols");
  return {text.substr(0, space), text.substr(space + 1)};
}

std::vector<Merge> read_merges(const Json& model, const std::string& where) {
  std::vector<Merge> merges;
  const Json* list = given(model, "merges");
  if (list == nullptr) return merges;
  const Json& vocab = model.at("vocab");
  const auto id_of = [&](std::string_view symbol) {
    const Json* id = vocab.find(symbol);
    if (id == nullptr) {
      fail(ErrorCode::kModel, where, ": merges[", merges.size(), "] needs the symbol '", symbol,
           "', which model.vocab lacks");
    }
    return read_id(*id, where);
  };
  std::string joined;
  merges.reserve(list->size());
  for (const Json& item : list->items("merges")) {
    const auto [left, right] = read_pair(item, "merges");
    joined.assign(left).append(right);
    merges.push_back({id_of(left), id_of(right), id_of(joined)});
  }
  return merges;
}

// "bos_token" and its kin are a string or an object with the string in "content".
std::string read_named_token(const Json& config, std::string_view key) {
  const Json* value = given(config, key);
  if (value == nullptr) return "";
  return value->is_object() ? value->string_at("content") : value->as_string(key);
}

// What the settings say goes before what the file's post-processor says.
void read_config(const Json& config, TokenizerSpec& spec) {
  const std::string bos = read_named_token(config, "bos_token");
  if (!bos.empty()) spec.bos_token = bos;
  spec.eos_token = read_named_token(config, "eos_token");
  spec.pad_token = read_named_token(config, "pad_token");
  spec.add_bos_token = config.bool_or("add_bos_token", spec.add_bos_token);
  const Json* chat = given(config, "chat_template");
  if (chat != nullptr && chat->is_string()) spec.chat_template = chat->as_string("chat_template");
}

}  // namespace

Tokenizer Tokenizer::from_json(std::string_view tokenizer_json, std::string_view config_json,
                               const std::string& where) {
  return with_model_errors(where, [&] {
    const Json file = parse_json(tokenizer_json, where, ErrorCode::kModel);
    TokenizerSpec spec;
    for (const char* key : {"truncation", "padding"}) {
      if (given(file, key) != nullptr) unsupported(where, key);
    }
    const Json& model = file.at("model");
    check_model(model, where);
    read_normalizer(file, spec, where);
    read_pre_tokenizer(file, spec, where);
    read_post_processor(file, spec, where);
    check_decoder(file, spec.kind, where);
    spec.ignore_merges = model.bool_or("ignore_merges", false);
    spec.added_tokens = read_added_tokens(file, where);
    spec.vocab = read_vocab(model, spec.added_tokens, where);
    spec.merges = read_merges(model, where);
    if (!config_json.empty()) {
      // "FOLDER/tokenizer.json" -> "FOLDER/tokenizer_config.json"
      const std::string_view ending = ".json";
      const std::string config_origin =
          where.ends_with(ending)
              ? concat(where.substr(0, where.size() - ending.size()), "_config.json")
              : concat(where, " (tokenizer_config.json)");
      read_config(parse_json(config_json, config_origin, ErrorCode::kModel), spec);
    }
    return Tokenizer(std::move(spec));
  });
}

Tokenizer Tokenizer::load(const std::string& folder) {
  const std::string path = join_path(folder, "tokenizer.json");
  const std::string config_path = join_path(folder, "tokenizer_config.json");
  return with_model_errors(path, [&] {
    const std::string config = exists(config_path) ? read_file(config_path) : "";
    return from_json(read_file(path), config, path);
  });
}

}  // namespace fathom
