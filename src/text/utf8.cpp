#include "text/utf8.h"

#include <cstdio>

namespace fathom {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

struct Scan {
  size_t bytes = 1;  // length of the character, or of the part of it that is there
  bool valid = false;
  bool incomplete = false;  // the text ends inside a character that more bytes could complete
};

// Length of a character by its first byte, 0 if no character starts so; narrows the range of the
// second byte, which is where over-long forms, surrogates and values above U+10FFFF show.
size_t expected_length(unsigned char first, unsigned char& low, unsigned char& high) {
  low = 0x80;
  high = 0xBF;
  if (first < 0x80) return 1;
  if (first < 0xC2) return 0;
  if (first < 0xE0) return 2;
  if (first < 0xF0) {
    if (first == 0xE0) low = 0xA0;
    if (first == 0xED) high = 0x9F;
    return 3;
  }
  if (first > 0xF4) return 0;
  if (first == 0xF0) low = 0x90;
  if (first == 0xF4) high = 0x8F;
  return 4;
}

Scan scan_character(std::string_view text, size_t at) {
  unsigned char low = 0, high = 0;
  const size_t length = expected_length(static_cast<unsigned char>(text[at]), low, high);
  if (length == 0) return {};
  for (size_t i = 1; i < length; ++i) {
    if (at + i == text.size()) return {.bytes = i, .valid = false, .incomplete = true};
    const unsigned char byte = static_cast<unsigned char>(text[at + i]);
    if (byte < low || byte > high) return {.bytes = i, .valid = false, .incomplete = false};
    low = 0x80;
    high = 0xBF;
  }
  return {.bytes = length, .valid = true, .incomplete = false};
}

// Appends `bytes` with replacements; with `hold`, stops before an incomplete tail and returns where
// that begins.
size_t append_valid(std::string_view bytes, bool hold, std::string& out) {
  size_t at = 0;
  while (at < bytes.size()) {
    const Scan scan = scan_character(bytes, at);
    if (scan.incomplete && hold) break;
    if (scan.valid) {
      out.append(bytes.substr(at, scan.bytes));
    } else {
      append_utf8(out, kReplacement);
    }
    at += scan.bytes;
  }
  return at;
}

}  // namespace

char32_t next_code_point(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[at + i]));
  };
  const char32_t first = byte(0);
  char32_t code_point = first;
  size_t length = 1;
  if (first >= 0xF0) {
    code_point =
        (first & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
    length = 4;
  } else if (first >= 0xE0) {
    code_point = (first & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
    length = 3;
  } else if (first >= 0xC0) {
    code_point = (first & 0x1F) << 6 | (byte(1) & 0x3F);
    length = 2;
  }
  at += length;
  return code_point;
}

void append_utf8(std::string& text, char32_t code_point) {
  const auto put = [&](char32_t byte) {
    text.push_back(static_cast<char>(static_cast<unsigned char>(byte)));
  };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3F));
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

std::string replace_invalid_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  append_valid(bytes, /*hold=*/false, text);
  return text;
}

std::string describe_character(char32_t code_point) {
  char number[16];
  std::snprintf(number, sizeof number, "U+%04X", static_cast<unsigned>(code_point));
  const bool control = code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0);
  if (control) return number;
  std::string text = "'";
  append_utf8(text, code_point);
  return text + "' (" + number + ")";
}

std::string Utf8Stream::push(std::string_view bytes) {
  pending_ += bytes;
  std::string text;
  const size_t shown = append_valid(pending_, /*hold=*/true, text);
  pending_.erase(0, shown);
  return text;
}

std::string Utf8Stream::finish() {
  std::string text = replace_invalid_utf8(pending_);
  pending_.clear();
  return text;
}

}  // namespace fathom
