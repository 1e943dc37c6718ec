// Text to token ids and back, from a standard Hugging Face tokenizer.json.
//
// Two kinds so far: byte-level (256 symbols, any UTF-8 text) and characters (a fixed set; text
// outside it is an error, never dropped). Both are BPE models without merges, so that other
// programs read the same file and give the same ids. A file that asks for more (merges, split
// patterns, normalisers) is refused by the name of the feature.
// Threads: const methods may run at once on one object.  Lifetime: a value; copies are independent.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

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
  bool normalized = false;  // searched after those that are not
};

enum class SymbolKind {
  kBytes,       // each byte is one of 256 printable symbols (the ByteLevel alphabet)
  kCharacters,  // each symbol is the character itself
};

struct VocabEntry {
  std::string symbol;  // as written in tokenizer.json
  int32_t id = 0;
};

// What tokenizer.json and tokenizer_config.json say.
struct TokenizerSpec {
  SymbolKind kind = SymbolKind::kBytes;
  std::vector<VocabEntry> vocab;         // without the added tokens
  std::vector<AddedToken> added_tokens;  // ascending ids
  std::string bos_token;                 // contents of added tokens; empty = none
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
  bool parse_special =
      false;  // off: text that spells a control token stays text, as it must for untrusted text
  bool add_bos = false;
};

struct DecodeOptions {
  bool skip_special = false;  // leave out tokens flagged special (bos, eos, pad)
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

  // Bytes that form no character become U+FFFD; so does an id without a token (models may have
  // spare ids).
  std::string decode(const std::vector<int32_t>& ids, const DecodeOptions& options = {}) const;
  // The bytes that the token stands for, which may be part of a character.
  std::string_view token_bytes(int32_t id) const;
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
  struct Piece {
    std::string_view text;
    int32_t id = -1;  // an added token if >= 0
  };

  void place(int32_t id, std::string bytes, const std::string& name);
  void index_vocab();
  void index_added_tokens();
  const AddedToken* match_at(std::string_view text, size_t at, bool normalized) const;
  void split(std::string_view text, bool normalized, std::vector<Piece>& pieces) const;
  std::vector<Piece> split_added_tokens(std::string_view text, bool parse_special) const;
  int32_t symbol_id(char32_t code_point) const;  // kCharacters; -1 if the vocabulary lacks it
  void encode_plain(std::string_view text, std::vector<int32_t>& ids) const;
  [[noreturn]] void refuse_characters(std::string_view text, bool parse_special) const;

  TokenizerSpec spec_;
  ControlIds control_;
  std::vector<std::string> bytes_;       // [vocab_size], empty where an id has no token
  std::array<int32_t, 256> byte_ids_{};  // kBytes
  std::unordered_map<char32_t, int32_t> character_ids_;  // kCharacters
  std::vector<AddedToken> by_length_;                    // longest first
  std::array<bool, 256> starts_added_token_{};           // by first byte
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

// The printable symbol of each byte in byte-level files: code point 33–126, 161–172 and 174–255
// stand for themselves, the other 68 bytes for 256 and up.
char32_t byte_symbol(unsigned char byte);

}  // namespace fathom
