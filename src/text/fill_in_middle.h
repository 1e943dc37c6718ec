// Texts with a hole: the model writes what stands between a beginning and an end.
//
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace fathom {

// The prompt of a text to be filled in between two others; the model writes the middle and ends.
// Error(kModel) where the tokenizer has no tokens for it.
std::vector<int32_t> fill_in_middle_prompt(const Tokenizer& tokenizer, std::string_view prefix,
                                           std::string_view suffix);
bool can_fill_in_middle(const Tokenizer& tokenizer);
// What ends a middle besides the model's own end tokens.
std::vector<int32_t> fill_in_middle_stops(const Tokenizer& tokenizer);

}  // namespace fathom
