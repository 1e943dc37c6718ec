#include "text/tokenizer_presets.h"

#include <set>
#include <string>
#include <utility>

#include "base/error.h"
#include "io/json.h"
#include "text/byte_symbols.h"
#include "text/chat.h"

namespace fathom {
namespace {

constexpr int32_t kControlTokens = 7;

}  // namespace

// Flags as in DeepSeek-V3: role and think tokens are not special, so that decode shows them.
TokenizerSpec control_token_spec(SymbolKind kind) {
  TokenizerSpec spec;
  spec.kind = kind;
  const auto add = [&](std::string_view content, bool special) {
    const int32_t id = static_cast<int32_t>(spec.added_tokens.size());
    spec.added_tokens.push_back({id, std::string(content), special, /*normalized=*/!special});
  };
  add(kPadToken, true);
  add(kBosToken, true);
  add(kEosToken, true);
  add(kUserToken, false);
  add(kAssistantToken, false);
  add(kThinkToken, false);
  add(kEndThinkToken, false);
  spec.pad_token = kPadToken;
  spec.bos_token = kBosToken;
  spec.eos_token = kEosToken;
  spec.chat_template = chat_template();
  return spec;
}

Tokenizer byte_tokenizer() {
  TokenizerSpec spec = control_token_spec(SymbolKind::kBytes);
  for (int32_t byte = 0; byte < 256; ++byte) {
    std::string symbol;
    append_utf8(symbol, byte_symbol(static_cast<unsigned char>(byte)));
    spec.vocab.push_back({symbol, kControlTokens + byte});
  }
  return Tokenizer(std::move(spec));
}

Tokenizer character_tokenizer(std::string_view characters, bool add_bos_token) {
  FATHOM_CHECK(!invalid_utf8_offset(characters),
               "character_tokenizer: the set of characters is not UTF-8");
  TokenizerSpec spec = control_token_spec(SymbolKind::kCharacters);
  spec.add_bos_token = add_bos_token;
  std::set<char32_t> seen;
  for (size_t at = 0; at < characters.size();) {
    const size_t start = at;
    const char32_t code_point = next_code_point(characters, at);
    FATHOM_CHECK(seen.insert(code_point).second, "character_tokenizer: the character ",
                 describe_character(code_point), " stands twice in the set");
    const int32_t id = kControlTokens + static_cast<int32_t>(spec.vocab.size());
    spec.vocab.push_back({std::string(characters.substr(start, at - start)), id});
  }
  return Tokenizer(std::move(spec));
}

std::string distinct_characters(std::string_view text) {
  std::set<char32_t> seen;
  for (size_t at = 0; at < text.size();) seen.insert(next_code_point(text, at));
  std::string characters;
  for (const char32_t code_point : seen) append_utf8(characters, code_point);
  return characters;
}

}  // namespace fathom
