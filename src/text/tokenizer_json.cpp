// Writing tokenizer.json and tokenizer_config.json, as other programs read them.
#include <algorithm>
#include <unordered_map>

#include "io/files.h"
#include "io/json.h"
#include "text/tokenizer.h"

namespace fathom {
namespace {

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

Json split_json(const SplitStep& step) {
  if (step.kind == SplitStep::Kind::kDigits)
    return Json::object({{"type", "Digits"}, {"individual_digits", step.individual_digits}});
  return Json::object({{"type", "Split"},
                       {"pattern", Json::object({{"Regex", step.pattern}})},
                       {"behavior", "Isolated"},
                       {"invert", false}});
}

Json pre_tokenizer_json(const TokenizerSpec& spec) {
  if (spec.kind == SymbolKind::kCharacters) return Json();
  Json steps = Json::array();
  for (const SplitStep& step : spec.split) steps.push_back(split_json(step));
  steps.push_back(byte_level_json(false, true, false));
  if (spec.split.empty()) return steps.at(0);
  return Json::object({{"type", "Sequence"}, {"pretokenizers", steps}});
}

Json normalizer_json(Normalizer normalizer) {
  return normalizer == Normalizer::kNfc ? Json::object({{"type", "NFC"}}) : Json();
}

// Readers give added tokens the next ids behind the vocabulary, whatever their "id" says: those
// that are not there by themselves must stand in the vocabulary.
bool follow_vocab(const TokenizerSpec& spec) {
  int32_t last = -1;
  for (const VocabEntry& entry : spec.vocab) last = std::max(last, entry.id);
  for (const AddedToken& token : spec.added_tokens) {
    if (token.id > last && token.id != ++last) return false;
  }
  return true;
}

Json vocab_json(const TokenizerSpec& spec) {
  std::vector<VocabEntry> entries = spec.vocab;
  int32_t last = -1;
  for (const VocabEntry& entry : entries) last = std::max(last, entry.id);
  const bool all = !follow_vocab(spec);
  for (const AddedToken& token : spec.added_tokens) {
    if (all || token.id < last) entries.push_back({token.content, token.id});
  }
  std::sort(entries.begin(), entries.end(),
            [](const VocabEntry& a, const VocabEntry& b) { return a.id < b.id; });
  Json vocab = Json::object();
  for (const VocabEntry& entry : entries) vocab[entry.symbol] = entry.id;
  return vocab;
}

// "left right", or a list where a symbol holds a space.
Json merges_json(const TokenizerSpec& spec) {
  std::unordered_map<int32_t, std::string_view> symbols;
  for (const VocabEntry& entry : spec.vocab) symbols[entry.id] = entry.symbol;
  for (const AddedToken& token : spec.added_tokens) symbols[token.id] = token.content;
  Json merges = Json::array();
  for (const Merge& merge : spec.merges) {
    const std::string left(symbols.at(merge.left)), right(symbols.at(merge.right));
    const bool spaced = (left + right).find(' ') != std::string::npos;
    merges.push_back(spaced ? Json::array({left, right}) : Json(left + " " + right));
  }
  return merges;
}

Json model_json(const TokenizerSpec& spec) {
  return Json::object({{"type", "BPE"},
                       {"dropout", nullptr},
                       {"unk_token", nullptr},
                       {"continuing_subword_prefix", nullptr},
                       {"end_of_word_suffix", nullptr},
                       {"fuse_unk", false},
                       {"byte_fallback", false},
                       {"ignore_merges", spec.ignore_merges},
                       {"vocab", vocab_json(spec)},
                       {"merges", merges_json(spec)}});
}

}  // namespace

std::string Tokenizer::tokenizer_json() const {
  const bool bytes = spec_.kind == SymbolKind::kBytes;
  Json added = Json::array();
  for (const AddedToken& token : spec_.added_tokens) added.push_back(added_token_json(token));
  const Json file = Json::object(
      {{"version", "1.0"},
       {"truncation", nullptr},
       {"padding", nullptr},
       {"added_tokens", added},
       {"normalizer", normalizer_json(spec_.normalizer)},
       {"pre_tokenizer", pre_tokenizer_json(spec_)},
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

void Tokenizer::save(const std::string& folder) const {
  write_file_atomically(join_path(folder, "tokenizer.json"), tokenizer_json());
  write_file_atomically(join_path(folder, "tokenizer_config.json"), config_json());
}

}  // namespace fathom
