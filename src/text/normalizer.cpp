#include "text/normalizer.h"

#include <algorithm>
#include <cstdint>

#include "text/unicode.h"
#include "text/utf8.h"

namespace fathom {
namespace {

bool may_change(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    if (may_change_in_nfc(next_code_point(text, at))) return true;
  }
  return false;
}

// Sorts each run of marks by combining class, equal classes in the order of the text.
void order_marks(std::u32string& text) {
  for (size_t at = 0; at < text.size();) {
    if (combining_class(text[at]) == 0) {
      ++at;
      continue;
    }
    size_t end = at + 1;
    while (end < text.size() && combining_class(text[end]) != 0) ++end;
    std::stable_sort(text.begin() + static_cast<std::ptrdiff_t>(at),
                     text.begin() + static_cast<std::ptrdiff_t>(end), [](char32_t a, char32_t b) {
                       return combining_class(a) < combining_class(b);
                     });
    at = end;
  }
}

// The composition algorithm of the Unicode standard (section 3.11): a code point joins the last
// starter unless one of its own class, or a starter, stands between.
void compose_all(std::u32string& text) {
  constexpr size_t kNone = static_cast<size_t>(-1);
  size_t starter = kNone, size = 0;
  int last_class = 0;  // of what was kept behind the starter
  for (const char32_t c : text) {
    const int own = combining_class(c);
    const bool adjacent = starter + 1 == size;
    if (starter != kNone && (adjacent || (last_class != 0 && last_class < own))) {
      if (const char32_t whole = compose(text[starter], c)) {
        text[starter] = whole;
        continue;
      }
    }
    if (own == 0) starter = size;
    last_class = own;
    text[size++] = c;
  }
  text.resize(size);
}

}  // namespace

std::string normalize_nfc(std::string_view text) {
  std::u32string points;
  points.reserve(text.size());
  for (size_t at = 0; at < text.size();) decompose(next_code_point(text, at), points);
  order_marks(points);
  compose_all(points);
  std::string out;
  out.reserve(text.size());
  for (const char32_t c : points) append_utf8(out, c);
  return out;
}

std::string_view normalized(Normalizer normalizer, std::string_view text, std::string& storage) {
  if (normalizer == Normalizer::kNone || !may_change(text)) return text;
  storage = normalize_nfc(text);
  return storage;
}

}  // namespace fathom
