// Unicode: the classes of code points that split patterns ask for, and the data of normal form C.
//
// All of it comes from ICU, held to the versions that the published tokenizers' reference library
// uses, so that ids do not change with the ICU of a machine: classes are those of Unicode 16,
// numbers of the Digits step those of Unicode 17, normal form C that of Unicode 9. What the
// installed ICU does not know yet is in a table of unicode.cpp.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace fathom {

// Bits; a code point may have several.
enum CharClass : uint16_t {
  kLetter = 1 << 0,       // \p{L}
  kMark = 1 << 1,         // \p{M}
  kNumber = 1 << 2,       // \p{N}
  kPunctuation = 1 << 3,  // \p{P}
  kSymbol = 1 << 4,       // \p{S}
  kWhiteSpace = 1 << 5,   // \s, the property White_Space
  kNewline = 1 << 6,      // [\r\n]
  kNumeric = 1 << 7,      // what the Digits step isolates
  kSpace = 1 << 8,        // U+0020
  kAsciiLetter = 1 << 9,
  kAsciiSign = 1 << 10,  // ASCII punctuation and symbols
};
inline constexpr int kFirstFreeClass = 11;  // bits from here on are for sets of a pattern
inline constexpr char32_t kCodePoints = 0x110000;

// [kCodePoints], bits of CharClass.
std::span<const uint16_t> character_classes();

// --- normal form C

// False where the code point can neither change nor move; true says nothing.
bool may_change_in_nfc(char32_t code_point);
int combining_class(char32_t code_point);
// Appends the full canonical decomposition, which is the code point itself where it has none.
void decompose(char32_t code_point, std::u32string& out);
// The one code point that is equivalent to the two; 0 where there is none.
char32_t compose(char32_t first, char32_t second);

}  // namespace fathom
