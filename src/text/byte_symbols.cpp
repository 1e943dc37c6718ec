#include "text/byte_symbols.h"

#include <array>

#include "text/utf8.h"

namespace fathom {
namespace {

constexpr char32_t kSymbolEnd = 256 + 68;

struct ByteSymbols {
  std::array<char32_t, 256> of_byte{};
  std::array<int16_t, kSymbolEnd> to_byte{};  // -1: no byte's symbol
};

constexpr ByteSymbols make_byte_symbols() {
  ByteSymbols symbols;
  symbols.to_byte.fill(-1);
  char32_t next = 256;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    const char32_t symbol = printable ? byte : next++;
    symbols.of_byte[byte] = symbol;
    symbols.to_byte[symbol] = static_cast<int16_t>(byte);
  }
  return symbols;
}

constexpr ByteSymbols kByteSymbols = make_byte_symbols();

}  // namespace

char32_t byte_symbol(unsigned char byte) { return kByteSymbols.of_byte[byte]; }

std::optional<std::string> symbols_to_bytes(std::string_view symbols) {
  std::string bytes;
  bytes.reserve(symbols.size());
  for (size_t at = 0; at < symbols.size();) {
    const char32_t symbol = next_code_point(symbols, at);
    if (symbol >= kSymbolEnd || kByteSymbols.to_byte[symbol] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(kByteSymbols.to_byte[symbol]));
  }
  return bytes;
}

std::string bytes_to_symbols(std::string_view bytes) {
  std::string symbols;
  for (const char byte : bytes) append_utf8(symbols, byte_symbol(static_cast<unsigned char>(byte)));
  return symbols;
}

}  // namespace fathom
