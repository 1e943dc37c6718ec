// What is done to text before it is split: nothing, or Unicode normal form C.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <string_view>

namespace fathom {

enum class Normalizer { kNone, kNfc };

// Normal form C as Unicode 9 defines it (text/unicode.h), in O(n log n) whatever the text. `text`
// is valid UTF-8.
std::string normalize_nfc(std::string_view text);

// The text as the tokenizer sees it: `text` itself where nothing changes, else a view of `storage`.
std::string_view normalized(Normalizer normalizer, std::string_view text, std::string& storage);

}  // namespace fathom
