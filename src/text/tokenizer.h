// Text to token ids and back, from a standard Hugging Face tokenizer.json.
//
// Encoding: strings of added tokens are found first (where asked), what lies between is normalised,
// cut into pieces (text/split_pattern.h) and merged piece by piece (text/bpe.h). The byte-level and
// character tokenizers that Fathom makes itself are such models without merges. A file that asks
// for more is refused by the name of the feature. Threads: const methods may run at once on one
// object.  Lifetime: a value; copies share what was compiled from the spec.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "text/bpe.h"
#include "text/normalizer.h"
#include "text/split_pattern.h"
#include "text/utf8.h"

namespace fathom {

// The strings of the DeepSeek-V3 and R1 control tokens: the bars are U+FF5C, the low lines U+2581.
inline constexpr std::string_view kBosToken = "<｜begin▁of▁sentence｜>";
inline constexpr std::string_view kEosToken = "<｜end▁of▁sentence｜>";
inline constexpr std::string_view kPadToken = "<｜▁pad▁｜>";
inline constexpr std::string_view kUserToken = "<｜User｜>";
inline constexpr std::string_view kAssistantToken = "<｜Assistant｜>";
inline constexpr std::string_view kThinkToken = "<think>";
inline constexpr std::string_view kEndThinkToken = "</think>";

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool special = false;     // left out by decode with skip_special; not so role and think tokens
  bool normalized = false;  // searched after those that are not, in the normalised text
};

// What tokenizer.json and tokenizer_config.json say.
struct TokenizerSpec {
  SymbolKind kind = SymbolKind::kBytes;
  std::vector<VocabEntry> vocab;         // without the added tokens
  std::vector<AddedToken> added_tokens;  // ascending ids
  std::vector<Merge> merges;             // ids of vocab; the place is the rank
  bool ignore_merges = false;            // a piece that is a token is that token
  Normalizer normalizer = Normalizer::kNone;
  std::vector<SplitStep> split;
  std::string bos_token;  // contents of added tokens; empty = none
  std::string eos_token;
  std::string pad_token;
  bool add_bos_token = false;  // a plain completion begins with bos
  std::string chat_template;   // Jinja, for other programs; empty = none
};

// Ids of the tokens with a role, where the tokenizer has them.
struct ControlIds {
  std::optional<int32_t> bos, eos, pad, user, assistant, think, end_think;
};

struct EncodeOptions {
  // Off: text that spells a control token stays text, as it must for untrusted text. Added tokens
  // of one character that are not special are found all the same: in DeepSeek's first tokenizers
  // they are how letters such as ü are written.
  bool parse_special = false;
  bool add_bos = false;
};

struct DecodeOptions {
  bool skip_special = false;  // leave out tokens flagged special (bos, eos, pad)
  // An added token that consists of byte symbols, such as ü, becomes bytes, as other programs do
  // it, and with that mostly U+FFFD. Off: it is the text that it was found in.
  bool added_tokens_as_bytes = false;
};

class Tokenizer {
 public:
  explicit Tokenizer(TokenizerSpec spec);  // fails on a spec that contradicts itself

  // Reads FOLDER/tokenizer.json and, if present, FOLDER/tokenizer_config.json.
  static Tokenizer load(const std::string& folder);
  // Writes both files, each replaced at once.
  void save(const std::string& folder) const;

  // The same, from and to the contents of the files; `where` names the source in errors. An empty
  // config is no config.
  static Tokenizer from_json(std::string_view tokenizer_json, std::string_view config_json,
                             const std::string& where);
  std::string tokenizer_json() const;
  std::string config_json() const;

  // Fails on invalid UTF-8 and, naming them all, on characters that the vocabulary lacks.
  std::vector<int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const;
  // Characters of `text` that encode would refuse, each once, in order of appearance.
  std::vector<char32_t> unknown_characters(std::string_view text, bool parse_special = false) const;

  // Whether the id is one of a token.
  bool has_token(int32_t id) const;
  // Bytes that form no character become U+FFFD; so does an id without a token (models may have
  // spare ids).
  std::string decode(const std::vector<int32_t>& ids, const DecodeOptions& options = {}) const;
  // The bytes that the token stands for, which may be part of a character.
  std::string_view token_bytes(int32_t id) const { return token_bytes(id, {}); }
  std::string_view token_bytes(int32_t id, const DecodeOptions& options) const;
  // For people: the token's text, with U+FFFD for parts of characters.
  std::string token_text(int32_t id) const { return replace_invalid_utf8(token_bytes(id)); }

  int32_t vocab_size() const { return static_cast<int32_t>(bytes_.size()); }  // highest id + 1
  bool is_special(int32_t id) const;
  std::optional<int32_t> added_token_id(std::string_view content) const;
  const ControlIds& control() const { return control_; }
  // The id, or an error that says which token the tokenizer lacks and what needs it.
  int32_t require(std::optional<int32_t> id, std::string_view token,
                  std::string_view what_for) const;
  const TokenizerSpec& spec() const { return spec_; }

 private:
  struct Compiled;
  class Encoder;

  void place(int32_t id, std::string bytes, const std::string& name);
  void check_merges() const;
  void name_control_tokens();
  [[noreturn]] void refuse_characters(std::string_view text, bool parse_special) const;

  TokenizerSpec spec_;
  ControlIds control_;
  std::vector<std::string> bytes_;  // [vocab_size], empty where an id has no token
  std::unordered_map<std::string, int32_t> added_ids_;    // by content
  std::unordered_map<int32_t, std::string> added_bytes_;  // what added_tokens_as_bytes shows
  std::unordered_set<int32_t> special_;
  std::shared_ptr<const Compiled> compiled_;
};

// Decodes ids one by one; never shows half a character. All pushes and finish() joined equal
// decode().
class StreamDecoder {
 public:
  // `tokenizer` outlives the decoder.
  explicit StreamDecoder(const Tokenizer& tokenizer, const DecodeOptions& options = {})
      : tokenizer_(&tokenizer), options_(options) {}

  std::string push(int32_t id);
  std::string finish() { return stream_.finish(); }

 private:
  const Tokenizer* tokenizer_;
  DecodeOptions options_;
  Utf8Stream stream_;
};

}  // namespace fathom
