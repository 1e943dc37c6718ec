// UTF-8: walking code points, and joining pieces without ever showing half a character.
//
// Threads: everything here is a value or a pure function.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace fathom {

// Reads the code point at `at` and moves `at` behind it. `text` is valid UTF-8 and `at` a
// character's start.
char32_t next_code_point(std::string_view text, size_t& at);

void append_utf8(std::string& text, char32_t code_point);

// Replaces what is not well-formed by U+FFFD, one per maximal cut-off character (as the Unicode
// standard advises).
std::string replace_invalid_utf8(std::string_view bytes);

// For error messages: 'x' (U+0078), control characters by number alone.
std::string describe_character(char32_t code_point);

// Bytes in, whole characters out. The joined output equals replace_invalid_utf8 of the joined
// input.
class Utf8Stream {
 public:
  // What can be shown now; an incomplete character waits for its other bytes.
  std::string push(std::string_view bytes);
  // Call at the end: a character left incomplete becomes one U+FFFD.
  std::string finish();

 private:
  std::string pending_;  // at most three bytes, the start of a character
};

}  // namespace fathom
