#include "text/tokenizer.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "io/json.h"

namespace fathom {
namespace {

constexpr std::string_view kNoToken = "\xEF\xBF\xBD";  // U+FFFD

std::array<char32_t, 256> make_byte_symbols() {
  std::array<char32_t, 256> symbols{};
  char32_t next = 256;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
    symbols[byte] = printable ? byte : next++;
  }
  return symbols;
}

const std::array<char32_t, 256>& byte_symbols() {
  static const std::array<char32_t, 256> symbols = make_byte_symbols();
  return symbols;
}

std::optional<unsigned char> byte_of_symbol(char32_t symbol) {
  const auto& symbols = byte_symbols();
  const auto found = std::find(symbols.begin(), symbols.end(), symbol);
  if (found == symbols.end()) return std::nullopt;
  return static_cast<unsigned char>(found - symbols.begin());
}

// The ByteLevel decoder: a token made of byte symbols alone stands for those bytes, any other for
// its own text.
std::string decoded_bytes(std::string_view symbol_text, SymbolKind kind) {
  if (kind == SymbolKind::kCharacters) return std::string(symbol_text);
  std::string bytes;
  for (size_t at = 0; at < symbol_text.size();) {
    const std::optional<unsigned char> byte = byte_of_symbol(next_code_point(symbol_text, at));
    if (!byte) return std::string(symbol_text);
    bytes.push_back(static_cast<char>(*byte));
  }
  return bytes;
}

void check_utf8(std::string_view text) {
  const std::optional<size_t> bad = invalid_utf8_offset(text);
  if (bad) {
    fail(ErrorCode::kRuntime, "tokenizer: the text is not valid UTF-8 at byte ", *bad, " of ",
         text.size(), "; convert it to UTF-8 first");
  }
}

}  // namespace

char32_t byte_symbol(unsigned char byte) { return byte_symbols()[byte]; }

Tokenizer::Tokenizer(TokenizerSpec spec) : spec_(std::move(spec)) {
  byte_ids_.fill(-1);
  for (const VocabEntry& entry : spec_.vocab) {
    place(entry.id, decoded_bytes(entry.symbol, spec_.kind), entry.symbol);
  }
  for (const AddedToken& token : spec_.added_tokens) {
    place(token.id, decoded_bytes(token.content, spec_.kind), token.content);
  }
  index_vocab();
  index_added_tokens();
}

void Tokenizer::place(int32_t id, std::string bytes, const std::string& name) {
  // 2^24 is far above any vocabulary; an absurd id in a file must not allocate the memory of one.
  if (id < 0 || id >= (1 << 24))
    fail(ErrorCode::kModel, "tokenizer: token '", name, "' has the id ", id);
  if (name.empty()) fail(ErrorCode::kModel, "tokenizer: the token with id ", id, " is empty");
  const size_t slot = static_cast<size_t>(id);
  if (slot >= bytes_.size()) bytes_.resize(slot + 1);
  if (!bytes_[slot].empty()) {
    fail(ErrorCode::kModel, "tokenizer: id ", id, " is given to both '", bytes_[slot], "' and '",
         name, "'");
  }
  bytes_[slot] = std::move(bytes);
}

void Tokenizer::index_vocab() {
  for (const VocabEntry& entry : spec_.vocab) {
    size_t at = 0;
    const char32_t symbol = next_code_point(entry.symbol, at);
    if (at != entry.symbol.size())
      continue;  // without merges, encoding never arrives at a longer one
    if (spec_.kind == SymbolKind::kCharacters) {
      character_ids_[symbol] = entry.id;
    } else if (const std::optional<unsigned char> byte = byte_of_symbol(symbol)) {
      byte_ids_[*byte] = entry.id;
    }
  }
  if (spec_.kind == SymbolKind::kCharacters) return;
  for (size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    if (byte_ids_[byte] < 0) {
      fail(ErrorCode::kModel, "tokenizer: the byte-level vocabulary has no symbol for byte ", byte,
           " (", describe_character(byte_symbols()[byte]), "); it must have all 256");
    }
  }
}

void Tokenizer::index_added_tokens() {
  by_length_ = spec_.added_tokens;
  std::stable_sort(
      by_length_.begin(), by_length_.end(),
      [](const AddedToken& a, const AddedToken& b) { return a.content.size() > b.content.size(); });
  for (const AddedToken& token : by_length_) {
    starts_added_token_[static_cast<unsigned char>(token.content[0])] = true;
  }
  const auto named = [&](const std::string& content, const char* key) -> std::optional<int32_t> {
    if (content.empty()) return std::nullopt;
    const std::optional<int32_t> id = added_token_id(content);
    if (!id)
      fail(ErrorCode::kModel, "tokenizer: ", key, " is '", content, "', which is no added token");
    return id;
  };
  control_.bos = named(spec_.bos_token, "bos_token");
  control_.eos = named(spec_.eos_token, "eos_token");
  control_.pad = named(spec_.pad_token, "pad_token");
  control_.user = added_token_id(kUserToken);
  control_.assistant = added_token_id(kAssistantToken);
  control_.think = added_token_id(kThinkToken);
  control_.end_think = added_token_id(kEndThinkToken);
}

std::optional<int32_t> Tokenizer::added_token_id(std::string_view content) const {
  for (const AddedToken& token : by_length_) {
    if (token.content == content) return token.id;
  }
  return std::nullopt;
}

int32_t Tokenizer::require(std::optional<int32_t> id, std::string_view token,
                           std::string_view what_for) const {
  if (!id) {
    fail(ErrorCode::kModel, "tokenizer: there is no ", token, " token, which ", what_for,
         " needs; use a tokenizer that has it among its added_tokens");
  }
  return *id;
}

bool Tokenizer::is_special(int32_t id) const {
  return std::any_of(by_length_.begin(), by_length_.end(),
                     [id](const AddedToken& token) { return token.id == id && token.special; });
}

// --- encoding

const AddedToken* Tokenizer::match_at(std::string_view text, size_t at, bool normalized) const {
  if (!starts_added_token_[static_cast<unsigned char>(text[at])]) return nullptr;
  for (const AddedToken& token : by_length_) {
    if (token.normalized == normalized && text.substr(at, token.content.size()) == token.content)
      return &token;
  }
  return nullptr;
}

// Leftmost, then longest.
void Tokenizer::split(std::string_view text, bool normalized, std::vector<Piece>& pieces) const {
  size_t start = 0, at = 0;
  while (at < text.size()) {
    const AddedToken* token = match_at(text, at, normalized);
    if (token == nullptr) {
      ++at;
      continue;
    }
    if (at > start) pieces.push_back({text.substr(start, at - start), -1});
    pieces.push_back({text.substr(at, token->content.size()), token->id});
    at += token->content.size();
    start = at;
  }
  if (start < text.size()) pieces.push_back({text.substr(start), -1});
}

std::vector<Tokenizer::Piece> Tokenizer::split_added_tokens(std::string_view text,
                                                            bool parse_special) const {
  if (!parse_special) return {{text, -1}};
  std::vector<Piece> raw, pieces;
  split(text, /*normalized=*/false, raw);
  for (const Piece& piece : raw) {
    if (piece.id >= 0) {
      pieces.push_back(piece);
    } else {
      split(piece.text, /*normalized=*/true, pieces);
    }
  }
  return pieces;
}

int32_t Tokenizer::symbol_id(char32_t code_point) const {
  const auto found = character_ids_.find(code_point);
  return found == character_ids_.end() ? -1 : found->second;
}

// An unknown character leaves -1 among the ids.
void Tokenizer::encode_plain(std::string_view text, std::vector<int32_t>& ids) const {
  if (spec_.kind == SymbolKind::kBytes) {
    for (const char c : text) ids.push_back(byte_ids_[static_cast<unsigned char>(c)]);
    return;
  }
  for (size_t at = 0; at < text.size();) ids.push_back(symbol_id(next_code_point(text, at)));
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  check_utf8(text);
  std::vector<int32_t> ids;
  ids.reserve(text.size() + 1);
  if (options.add_bos) ids.push_back(require(control_.bos, "begin-of-sentence", "add_bos"));
  for (const Piece& piece : split_added_tokens(text, options.parse_special)) {
    if (piece.id >= 0) {
      ids.push_back(piece.id);
    } else {
      encode_plain(piece.text, ids);
    }
  }
  if (std::find(ids.begin(), ids.end(), -1) != ids.end())
    refuse_characters(text, options.parse_special);
  return ids;
}

std::vector<char32_t> Tokenizer::unknown_characters(std::string_view text,
                                                    bool parse_special) const {
  check_utf8(text);
  std::vector<char32_t> unknown;
  if (spec_.kind == SymbolKind::kBytes) return unknown;
  for (const Piece& piece : split_added_tokens(text, parse_special)) {
    if (piece.id >= 0) continue;
    for (size_t at = 0; at < piece.text.size();) {
      const char32_t code_point = next_code_point(piece.text, at);
      const bool seen = std::find(unknown.begin(), unknown.end(), code_point) != unknown.end();
      if (symbol_id(code_point) < 0 && !seen) unknown.push_back(code_point);
    }
  }
  return unknown;
}

void Tokenizer::refuse_characters(std::string_view text, bool parse_special) const {
  const std::vector<char32_t> unknown = unknown_characters(text, parse_special);
  constexpr size_t kShown = 20;
  std::string names;
  for (size_t i = 0; i < unknown.size() && i < kShown; ++i) {
    names += (i == 0 ? "" : ", ") + describe_character(unknown[i]);
  }
  if (unknown.size() > kShown) names += concat(" and ", unknown.size() - kShown, " more");
  fail(ErrorCode::kRuntime, "tokenizer: the vocabulary has no token for ", names, "; it knows ",
       character_ids_.size(), " characters. Remove or replace them, or use a byte tokenizer");
}

// --- decoding

std::string_view Tokenizer::token_bytes(int32_t id) const {
  if (id < 0 || id >= vocab_size()) return kNoToken;
  const std::string& bytes = bytes_[static_cast<size_t>(id)];
  return bytes.empty() ? kNoToken : std::string_view(bytes);
}

std::string Tokenizer::decode(const std::vector<int32_t>& ids, const DecodeOptions& options) const {
  std::string bytes;
  for (const int32_t id : ids) {
    if (!options.skip_special || !is_special(id)) bytes += token_bytes(id);
  }
  return replace_invalid_utf8(bytes);
}

std::string StreamDecoder::push(int32_t id) {
  if (options_.skip_special && tokenizer_->is_special(id)) return "";
  return stream_.push(tokenizer_->token_bytes(id));
}

}  // namespace fathom
