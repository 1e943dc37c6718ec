#include "text/jinja/strings.h"

#include <algorithm>

#include "text/jinja/lexer.h"
#include "text/utf8.h"

namespace fathom::jinja {
namespace {

size_t step_back(std::string_view text, size_t at) {
  --at;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return at;
}

// Cased code points come in blocks of a fixed distance, or as even-odd pairs.
struct CaseBlock {
  char32_t first, last;  // of the capital letters
  char32_t distance;     // 0: the small letter follows its capital directly
};
constexpr CaseBlock kCaseBlocks[] = {
    {'A', 'Z', 32},       {0xC0, 0xD6, 32},   {0xD8, 0xDE, 32},    {0x100, 0x12E, 0},
    {0x132, 0x136, 0},    {0x139, 0x147, 0},  {0x14A, 0x176, 0},   {0x179, 0x17D, 0},
    {0x391, 0x3A1, 32},   {0x3A3, 0x3AB, 32}, {0x386, 0x386, 38},  {0x388, 0x38A, 37},
    {0x400, 0x40F, 80},   {0x410, 0x42F, 32}, {0x460, 0x480, 0},   {0x48A, 0x4BE, 0},
    {0x4D0, 0x52E, 0},    {0x531, 0x556, 48}, {0x1E00, 0x1E94, 0}, {0x1EA0, 0x1EFE, 0},
    {0xFF21, 0xFF3A, 32},
};

bool is_capital_of(const CaseBlock& block, char32_t c) {
  if (c < block.first || c > block.last) return false;
  return block.distance != 0 || (c - block.first) % 2 == 0;
}

template <class Map>
MarkedText mapped(const MarkedText& text, const Map& map) {
  MarkedText out;
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    const char32_t c = next_code_point(text.bytes(), at);
    std::string bytes;
    append_utf8(bytes, map(c));
    out.append(bytes, text.marks()[start]);
  }
  return out;
}

template <class StartsWord>
MarkedText titled(const MarkedText& text, const StartsWord& starts_word) {
  bool start = true;
  return mapped(text, [&](char32_t c) {
    const char32_t result = start ? to_upper(c) : to_lower(c);
    start = starts_word(c);
    return result;
  });
}

std::vector<MarkedText> words(const MarkedText& text, int64_t most) {
  std::vector<MarkedText> parts;
  size_t at = 0;
  const auto skip = [&] {
    while (const size_t bytes = space_at(text.bytes(), at)) at += bytes;
  };
  for (skip(); at < text.size(); skip()) {
    if (most == 0) {
      parts.push_back(text.substr(at));
      break;
    }
    --most;
    const size_t start = at;
    while (at < text.size() && space_at(text.bytes(), at) == 0) next_code_point(text.bytes(), at);
    parts.push_back(text.substr(start, at - start));
  }
  return parts;
}

std::vector<MarkedText> words_right(const MarkedText& text, int64_t most) {
  std::vector<MarkedText> parts;
  size_t end = text.size();
  const auto space_before = [&](size_t at) {
    if (at == 0) return size_t{0};
    const size_t start = step_back(text.bytes(), at);
    return space_at(text.bytes(), start) == at - start ? at - start : size_t{0};
  };
  for (;;) {
    while (const size_t bytes = space_before(end)) end -= bytes;
    if (end == 0) break;
    if (most == 0) {
      parts.push_back(text.substr(0, end));
      break;
    }
    --most;
    size_t start = end;
    while (start > 0 && space_before(start) == 0) start = step_back(text.bytes(), start);
    parts.push_back(text.substr(start, end - start));
    end = start;
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

size_t line_end_at(std::string_view text, size_t at) {
  const char c = text[at];
  if (c == '\r') return at + 1 < text.size() && text[at + 1] == '\n' ? 2 : 1;
  if (c == '\n' || c == '\v' || c == '\f' || (c >= 0x1C && c <= 0x1E)) return 1;
  if (text.substr(at, 2) == "\xC2\x85") return 2;
  const std::string_view three = text.substr(at, 3);
  return three == "\xE2\x80\xA8" || three == "\xE2\x80\xA9" ? 3 : 0;
}

}  // namespace

int64_t length(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
}

size_t offset_of(std::string_view text, int64_t index) {
  size_t at = 0;
  while (index > 0 && at < text.size()) {
    ++at;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
    --index;
  }
  return at;
}

std::vector<MarkedText> characters(const MarkedText& text) {
  std::vector<MarkedText> parts;
  for (size_t at = 0; at < text.size();) {
    const size_t start = at;
    next_code_point(text.bytes(), at);
    parts.push_back(text.substr(start, at - start));
  }
  return parts;
}

MarkedText slice(const MarkedText& text, int64_t start, int64_t stop, int64_t step) {
  if (step == 1) {
    if (start >= stop) return {};
    const size_t begin = offset_of(text.bytes(), start);
    const size_t size = offset_of(std::string_view(text.bytes()).substr(begin), stop - start);
    return text.substr(begin, size);
  }
  const std::vector<MarkedText> all = characters(text);
  MarkedText out;
  for (int64_t i = start; step > 0 ? i < stop : i > stop; i += step) {
    out.append(all[static_cast<size_t>(i)]);
  }
  return out;
}

MarkedText strip(const MarkedText& text, const std::optional<std::string_view>& characters,
                 bool left, bool right) {
  const std::string_view bytes = text.bytes();
  const auto dropped = [&](size_t at, size_t size) {
    if (!characters) return space_at(bytes, at) == size;
    return characters->find(bytes.substr(at, size)) != std::string_view::npos;
  };
  size_t begin = 0, end = bytes.size();
  while (left && begin < end) {
    size_t next = begin;
    next_code_point(bytes, next);
    if (!dropped(begin, next - begin)) break;
    begin = next;
  }
  while (right && end > begin) {
    const size_t start = step_back(bytes, end);
    if (!dropped(start, end - start)) break;
    end = start;
  }
  return text.substr(begin, end - begin);
}

std::vector<MarkedText> split(const MarkedText& text, const std::optional<std::string_view>& by,
                              int64_t most) {
  if (!by) return words(text, most);
  std::vector<MarkedText> parts;
  size_t at = 0;
  for (;;) {
    const size_t hit = most == 0 ? std::string::npos : text.bytes().find(*by, at);
    if (hit == std::string::npos) break;
    parts.push_back(text.substr(at, hit - at));
    at = hit + by->size();
    --most;
  }
  parts.push_back(text.substr(at));
  return parts;
}

std::vector<MarkedText> split_right(const MarkedText& text,
                                    const std::optional<std::string_view>& by, int64_t most) {
  if (!by) return words_right(text, most);
  std::vector<MarkedText> parts;
  size_t end = text.size();
  while (most != 0 && end >= by->size()) {
    const size_t hit = text.bytes().rfind(*by, end - by->size());
    if (hit == std::string::npos) break;
    parts.push_back(text.substr(hit + by->size(), end - hit - by->size()));
    end = hit;
    --most;
  }
  parts.push_back(text.substr(0, end));
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<MarkedText> split_lines(const MarkedText& text, bool keep_ends) {
  std::vector<MarkedText> lines;
  size_t start = 0, at = 0;
  while (at < text.size()) {
    const size_t end = line_end_at(text.bytes(), at);
    if (end == 0) {
      ++at;
      continue;
    }
    lines.push_back(text.substr(start, at - start + (keep_ends ? end : 0)));
    at += end;
    start = at;
  }
  if (start < text.size()) lines.push_back(text.substr(start));
  return lines;
}

MarkedText replace(const MarkedText& text, std::string_view from, const MarkedText& to,
                   int64_t most) {
  MarkedText out;
  size_t at = 0;
  while (most != 0) {
    const size_t hit = text.bytes().find(from, at);
    if (hit == std::string::npos) break;
    out.append(text.substr(at, hit - at));
    out.append(to);
    at = hit + from.size();
    --most;
  }
  out.append(text.substr(at));
  return out;
}

int64_t count(std::string_view text, std::string_view part) {
  if (part.empty()) return length(text) + 1;
  int64_t found = 0;
  for (size_t at = text.find(part); at != std::string_view::npos;
       at = text.find(part, at + part.size())) {
    ++found;
  }
  return found;
}

char32_t to_lower(char32_t c) {
  for (const CaseBlock& block : kCaseBlocks) {
    if (is_capital_of(block, c)) return c + (block.distance == 0 ? 1 : block.distance);
  }
  return c;
}

char32_t to_upper(char32_t c) {
  for (const CaseBlock& block : kCaseBlocks) {
    const char32_t distance = block.distance == 0 ? 1 : block.distance;
    if (c > distance && is_capital_of(block, c - distance)) return c - distance;
  }
  return c == 0xFF ? 0x178 : c == 0x3C2 ? 0x3A3 : c;
}

bool is_cased(char32_t c) { return to_lower(c) != c || to_upper(c) != c; }

bool is_letter(char32_t c) {
  if (c < 0x80) return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
  if (c < 0x100)
    return c == 0xAA || c == 0xB5 || c == 0xBA || (c >= 0xC0 && c != 0xD7 && c != 0xF7);
  return c < 0x2000 || (c >= 0x2C00 && c < 0x2E00) || (c >= 0x3040 && c < 0xE000) ||
         (c >= 0xF900 && c < 0xFE00) || (c >= 0xFF21 && c < 0xFFE0) || c >= 0x20000;
}

MarkedText upper(const MarkedText& text) { return mapped(text, to_upper); }
MarkedText lower(const MarkedText& text) { return mapped(text, to_lower); }

MarkedText capitalize(const MarkedText& text) {
  return titled(text, [](char32_t) { return false; });
}

MarkedText swap_case(const MarkedText& text) {
  return mapped(text, [](char32_t c) { return to_lower(c) != c ? to_lower(c) : to_upper(c); });
}

MarkedText title_method(const MarkedText& text) {
  return titled(text, [](char32_t c) { return !is_cased(c); });
}

MarkedText title_filter(const MarkedText& text) {
  return titled(text, [](char32_t c) {
    if (c == '-' || c == '(' || c == '{' || c == '[' || c == '<') return true;
    std::string bytes;
    append_utf8(bytes, c);
    return space_at(bytes, 0) > 0;
  });
}

MarkedText escape_html(const MarkedText& text) {
  MarkedText out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text.bytes()[i];
    const char* entity = c == '&'    ? "&amp;"
                         : c == '<'  ? "&lt;"
                         : c == '>'  ? "&gt;"
                         : c == '"'  ? "&#34;"
                         : c == '\'' ? "&#39;"
                                     : nullptr;
    if (entity != nullptr) {
      out.append(entity, text.marks()[i]);
    } else {
      out.append(std::string_view(&text.bytes()[i], 1), text.marks()[i]);
    }
  }
  return out;
}

}  // namespace fathom::jinja
