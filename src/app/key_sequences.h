// The sequences that the keys of terminals send, reduced to those that the line editor knows: a
// sequence that it does not know would otherwise leave its tail in the line.
//
// Threads: pure functions.
#pragma once

#include <string_view>

namespace fathom {

inline constexpr std::string_view kPasteBegin = "\033[200~", kPasteEnd = "\033[201~";

// Whether the bytes, of which the first is escape, are a whole sequence. A lone escape is not.
bool sequence_is_whole(std::string_view bytes);

// What the editor is given for a whole sequence: Ctrl-Left is the word to the left. Empty: the key
// means nothing here.
std::string_view known_sequence(std::string_view sequence);

}  // namespace fathom
