// The ByteLevel alphabet: one printable symbol for each byte, so that a vocabulary of bytes can be
// written as JSON text.
//
// Threads: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fathom {

// Code points 33–126, 161–172 and 174–255 stand for themselves, the other 68 bytes for 256 and up.
char32_t byte_symbol(unsigned char byte);

// The bytes that `symbols` stands for, or nothing where a character of it is no byte's symbol.
std::optional<std::string> symbols_to_bytes(std::string_view symbols);

std::string bytes_to_symbols(std::string_view bytes);

// Bytes that no valid UTF-8 text holds: C0, C1 and F5–FF. Published vocabularies may leave them
// out.
constexpr bool occurs_in_utf8(unsigned char byte) {
  return byte != 0xC0 && byte != 0xC1 && byte < 0xF5;
}

}  // namespace fathom
