// Python's string operations on marked UTF-8; indices and widths count code points.
//
// Letters are mapped between cases in ASCII, Latin, Greek and Cyrillic; others stay as they are.
//
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "text/marked_text.h"

namespace fathom::jinja {

int64_t length(std::string_view text);
// Byte offset of the code point `index`, or the size where the text is shorter.
size_t offset_of(std::string_view text, int64_t index);
// The code points from `start` to `stop` by `step`, as bounds that fit the length.
MarkedText slice(const MarkedText& text, int64_t start, int64_t stop, int64_t step);
std::vector<MarkedText> characters(const MarkedText& text);

// Without `characters`, or whitespace where there are none given, at the chosen ends.
MarkedText strip(const MarkedText& text, const std::optional<std::string_view>& characters,
                 bool left, bool right);

// `most`: splits at most, -1 for all. Without a separator: words between whitespace.
std::vector<MarkedText> split(const MarkedText& text, const std::optional<std::string_view>& by,
                              int64_t most);
std::vector<MarkedText> split_right(const MarkedText& text,
                                    const std::optional<std::string_view>& by, int64_t most);
std::vector<MarkedText> split_lines(const MarkedText& text, bool keep_ends);

// `most`: replacements at most, -1 for all. Not for an empty `from`.
MarkedText replace(const MarkedText& text, std::string_view from, const MarkedText& to,
                   int64_t most);
int64_t count(std::string_view text, std::string_view part);

MarkedText upper(const MarkedText& text);
MarkedText lower(const MarkedText& text);
MarkedText capitalize(const MarkedText& text);
MarkedText swap_case(const MarkedText& text);
// Each word's first letter large, the rest small. Python's str.title begins a word behind whatever
// is no letter; the filter begins one behind blanks and opening brackets only.
MarkedText title_method(const MarkedText& text);
MarkedText title_filter(const MarkedText& text);

bool is_cased(char32_t c);
char32_t to_upper(char32_t c);
char32_t to_lower(char32_t c);
bool is_letter(char32_t c);

// &, <, >, " and ' as HTML writes them.
MarkedText escape_html(const MarkedText& text);

}  // namespace fathom::jinja
