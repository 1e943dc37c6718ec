#include "text/tokenizer.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "io/json.h"
#include "text/added_tokens.h"
#include "text/byte_symbols.h"

namespace fathom {
namespace {

constexpr std::string_view kNoToken = "\xEF\xBF\xBD";  // U+FFFD

// The ByteLevel decoder: a token made of byte symbols alone stands for those bytes, any other for
// its own text.
std::string decoded_bytes(const std::string& symbols, SymbolKind kind) {
  if (kind == SymbolKind::kCharacters) return symbols;
  return symbols_to_bytes(symbols).value_or(symbols);
}

bool is_one_character(std::string_view text) {
  size_t at = 0;
  next_code_point(text, at);
  return at == text.size();
}

void check_utf8(std::string_view text) {
  const std::optional<size_t> bad = invalid_utf8_offset(text);
  if (bad) {
    fail(ErrorCode::kRuntime, "tokenizer: the text is not valid UTF-8 at byte ", *bad, " of ",
         text.size(), "; convert it to UTF-8 first");
  }
}

}  // namespace

// What encoding needs, made once from the spec.
struct Tokenizer::Compiled {
  explicit Compiled(const TokenizerSpec& spec);

  // [text alone, control tokens too][searched in the raw text, in the normalised text]
  AddedTokenFinder added[2][2];
  Splitter splitter;
  BpeModel model;
};

Tokenizer::Compiled::Compiled(const TokenizerSpec& spec)
    : splitter(spec.split), model(spec.kind, spec.vocab, spec.merges, spec.ignore_merges) {
  std::string storage;
  for (const AddedToken& token : spec.added_tokens) {
    const std::string_view content =
        token.normalized ? normalized(spec.normalizer, token.content, storage) : token.content;
    added[true][token.normalized].add(content, token.id);
    if (token.special || !is_one_character(token.content)) continue;
    added[false][token.normalized].add(content, token.id);
  }
}

Tokenizer::Tokenizer(TokenizerSpec spec) : spec_(std::move(spec)) {
  for (const VocabEntry& entry : spec_.vocab) {
    place(entry.id, decoded_bytes(entry.symbol, spec_.kind), entry.symbol);
  }
  for (const AddedToken& token : spec_.added_tokens) {
    // The search takes as many steps for a byte of text; published ones have up to 40 bytes.
    constexpr size_t kLongest = 1024;
    if (token.content.size() > kLongest) {
      fail(ErrorCode::kModel, "tokenizer: the added token with id ", token.id, " has ",
           token.content.size(), " bytes; expected at most ", kLongest);
    }
    place(token.id, token.content, token.content);
    if (!added_ids_.emplace(token.content, token.id).second) {
      fail(ErrorCode::kModel, "tokenizer: the added token '", token.content, "' is listed twice");
    }
    if (token.special) special_.insert(token.id);
    std::string bytes = decoded_bytes(token.content, spec_.kind);
    if (bytes != token.content) added_bytes_[token.id] = std::move(bytes);
  }
  check_merges();
  compiled_ = std::make_shared<Compiled>(spec_);
  name_control_tokens();
}

void Tokenizer::place(int32_t id, std::string bytes, const std::string& name) {
  // Vocabularies have some spare ids; an absurd one in a small file must not allocate the memory of
  // a big vocabulary.
  const size_t tokens = spec_.vocab.size() + spec_.added_tokens.size();
  const size_t limit = (size_t{1} << 18) + 16 * tokens;
  if (id < 0 || static_cast<size_t>(id) >= limit) {
    fail(ErrorCode::kModel, "tokenizer: token '", name, "' has the id ", id,
         "; expected less than ", limit, " of a tokenizer with ", tokens, " tokens");
  }
  if (name.empty()) fail(ErrorCode::kModel, "tokenizer: the token with id ", id, " is empty");
  const size_t slot = static_cast<size_t>(id);
  if (slot >= bytes_.size()) bytes_.resize(slot + 1);
  if (!bytes_[slot].empty()) {
    fail(ErrorCode::kModel, "tokenizer: id ", id, " is given to both '", bytes_[slot], "' and '",
         name, "'");
  }
  bytes_[slot] = std::move(bytes);
}

// An added token stands for the text that it was found in; merges would give it to other text.
void Tokenizer::check_merges() const {
  if (added_bytes_.empty()) return;
  for (const Merge& merge : spec_.merges) {
    const auto found = added_bytes_.find(merge.merged);
    if (found == added_bytes_.end()) continue;
    fail(ErrorCode::kModel, "tokenizer: merges arrive at the added token '",
         bytes_[static_cast<size_t>(merge.merged)], "', whose symbols spell other bytes; expected ",
         "one or the other");
  }
}

void Tokenizer::name_control_tokens() {
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
  const auto found = added_ids_.find(std::string(content));
  if (found == added_ids_.end()) return std::nullopt;
  return found->second;
}

int32_t Tokenizer::require(std::optional<int32_t> id, std::string_view token,
                           std::string_view what_for) const {
  if (!id) {
    fail(ErrorCode::kModel, "tokenizer: there is no ", token, " token, which ", what_for,
         " needs; use a tokenizer that has it among its added_tokens");
  }
  return *id;
}

bool Tokenizer::is_special(int32_t id) const { return special_.contains(id); }

// --- encoding

// One text on its way to ids.
class Tokenizer::Encoder {
 public:
  Encoder(const Tokenizer& tokenizer, bool parse_special)
      : tokenizer_(*tokenizer.compiled_),
        normalizer_(tokenizer.spec_.normalizer),
        raw_(tokenizer_.added[parse_special][false]),
        later_(tokenizer_.added[parse_special][true]) {}

  // Calls token(id) for each added token and plain(text) for the normalised text between.
  template <class OnToken, class OnPlain>
  void walk(std::string_view text, const OnToken& token, const OnPlain& plain) {
    each_part(raw_, text, token, [&](std::string_view part) {
      std::string storage;
      each_part(later_, normalized(normalizer_, part, storage), token, plain);
    });
  }

  void encode(std::string_view text, std::vector<int32_t>& ids) {
    walk(
        text, [&](int32_t id) { ids.push_back(id); },
        [&](std::string_view plain) { encode_plain(plain, ids); });
  }

 private:
  template <class OnToken, class OnPlain>
  static void each_part(const AddedTokenFinder& finder, std::string_view text, const OnToken& token,
                        const OnPlain& plain) {
    size_t start = 0;
    while (start < text.size()) {
      const AddedTokenFinder::Match match = finder.find(text, start);
      const size_t end = match.id < 0 ? text.size() : match.begin;
      if (end > start) plain(text.substr(start, end - start));
      if (match.id < 0) return;
      token(match.id);
      start = match.end;
    }
  }

  void encode_plain(std::string_view text, std::vector<int32_t>& ids) {
    ends_.clear();
    tokenizer_.splitter.split(text, ends_);
    constexpr size_t kEnoughPieces = 500;  // for a cache to pay for its making
    if (!cache_ && ends_.size() > kEnoughPieces) cache_.emplace();
    size_t begin = 0;
    for (const uint32_t end : ends_) {
      tokenizer_.model.encode(text, begin, end, cache_ ? &*cache_ : nullptr, ids);
      begin = end;
    }
  }

  const Compiled& tokenizer_;
  const Normalizer normalizer_;
  const AddedTokenFinder& raw_;
  const AddedTokenFinder& later_;
  std::vector<uint32_t> ends_;
  std::optional<BpeModel::Cache> cache_;
};

// An unknown character leaves -1 among the ids.
std::vector<int32_t> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  check_utf8(text);
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3 + 2);
  if (options.add_bos) ids.push_back(require(control_.bos, "begin-of-sentence", "add_bos"));
  Encoder(*this, options.parse_special).encode(text, ids);
  if (std::find(ids.begin(), ids.end(), -1) != ids.end())
    refuse_characters(text, options.parse_special);
  return ids;
}

std::vector<char32_t> Tokenizer::unknown_characters(std::string_view text,
                                                    bool parse_special) const {
  check_utf8(text);
  std::vector<char32_t> unknown;
  if (spec_.kind == SymbolKind::kBytes) return unknown;
  std::unordered_set<char32_t> seen;
  const auto look = [&](std::string_view plain) {
    for (size_t at = 0; at < plain.size();) {
      const char32_t character = next_code_point(plain, at);
      if (compiled_->model.character_id(character) < 0 && seen.insert(character).second)
        unknown.push_back(character);
    }
  };
  Encoder(*this, parse_special)
      .walk(
          text, [](int32_t) {}, look);
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
       spec_.vocab.size(), " characters. Remove or replace them, or use a byte tokenizer");
}

// --- decoding

bool Tokenizer::has_token(int32_t id) const {
  return id >= 0 && id < vocab_size() && !bytes_[static_cast<size_t>(id)].empty();
}

std::string_view Tokenizer::token_bytes(int32_t id, const DecodeOptions& options) const {
  if (!has_token(id)) return kNoToken;
  if (options.added_tokens_as_bytes) {
    const auto found = added_bytes_.find(id);
    if (found != added_bytes_.end()) return found->second;
  }
  return bytes_[static_cast<size_t>(id)];
}

std::string Tokenizer::decode(const std::vector<int32_t>& ids, const DecodeOptions& options) const {
  std::string bytes;
  for (const int32_t id : ids) {
    if (!options.skip_special || !is_special(id)) bytes += token_bytes(id, options);
  }
  return replace_invalid_utf8(bytes);
}

std::string StreamDecoder::push(int32_t id) {
  if (options_.skip_special && tokenizer_->is_special(id)) return "";
  return stream_.push(tokenizer_->token_bytes(id, options_));
}

}  // namespace fathom
