// The tokenizers that Fathom makes itself, with DeepSeek's control tokens in front.
#pragma once

#include <string_view>

#include "text/tokenizer.h"

namespace fathom {

// The seven tokens below and what tokenizer_config.json says of them; the vocabulary is left to the
// caller.
TokenizerSpec control_token_spec(SymbolKind kind);

// 263 tokens: pad, bos, eos, user, assistant, think, end of thinking (0–6), then the 256 bytes.
Tokenizer byte_tokenizer();

// The same seven tokens, then each character of `characters` (valid UTF-8, no repeats) in the order
// given.
Tokenizer character_tokenizer(std::string_view characters, bool add_bos_token = false);

// The distinct characters of `text`, ascending by code point: what a character tokenizer for it
// needs.
std::string distinct_characters(std::string_view text);

}  // namespace fathom
