#include "text/jinja/lexer.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "text/utf8.h"

namespace fathom::jinja {
namespace {

constexpr std::string_view kTwoCharOperators[] = {"**", "//", "==", "!=", ">=", "<="};
constexpr std::string_view kOneCharOperators = "+-/*%~[](){}><=.:|,;";

bool digit(char c) { return c >= '0' && c <= '9'; }
bool name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool name_char(char c) { return name_start(c) || digit(c); }

// "\r\n" and "\r" are "\n", and one newline at the end is not part of the template.
std::string normalized(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      text += source[i];
      continue;
    }
    text += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

size_t end_without_space(std::string_view text) {
  size_t end = text.size();
  while (end > 0) {
    size_t start = end - 1;
    while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
    if (space_at(text, start) != end - start) break;
    end = start;
  }
  return end;
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) text();
    add(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail_here(std::string what) const { throw SyntaxFault{std::move(what), line_}; }

  bool here(std::string_view word) const { return source_.compare(at_, word.size(), word) == 0; }

  void add(TokenKind kind, std::string text) {
    Token token;
    token.kind = kind;
    token.text = std::move(text);
    token.line = line_;
    tokens_.push_back(std::move(token));
  }

  void advance(size_t to) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(to), '\n'));
    if (to > at_) line_starting_ = source_[to - 1] == '\n';
    at_ = to;
  }

  size_t skip_space(size_t at) const {
    while (at < source_.size()) {
      const size_t bytes = space_at(source_, at);
      if (bytes == 0) break;
      at += bytes;
    }
    return at;
  }

  size_t next_tag() const {
    for (size_t at = at_; at + 1 < source_.size(); ++at) {
      if (source_[at] != '{') continue;
      const char c = source_[at + 1];
      if (c == '{' || c == '%' || c == '#') return at;
    }
    return std::string::npos;
  }

  // Whether a block tag at `at` is {% raw %}; then `end` is where its content begins.
  bool raw_tag(size_t at, size_t& end) const {
    size_t p = at + 2;
    if (p < source_.size() && (source_[p] == '-' || source_[p] == '+')) ++p;
    p = skip_space(p);
    if (source_.compare(p, 3, "raw") != 0) return false;
    p = skip_space(p + 3);
    const bool strips = p < source_.size() && source_[p] == '-';
    if (strips) ++p;
    if (source_.compare(p, 2, "%}") != 0) return false;
    end = strips ? skip_space(p + 2) : p + 2;
    return true;
  }

  // The text from at_ up to a tag whose sign stands at `sign`, without the blanks that the tag
  // takes.
  std::string text_before(size_t tag, size_t sign, bool variable) const {
    const std::string_view text = std::string_view(source_).substr(at_, tag - at_);
    const char c = sign < source_.size() ? source_[sign] : ' ';
    if (c == '-') return std::string(text.substr(0, end_without_space(text)));
    if (c == '+' || variable) return std::string(text);
    const size_t line = text.rfind('\n') + 1;  // npos + 1 is 0
    if (line == 0 && !line_starting_) return std::string(text);
    return std::string(all_space(text.substr(line)) ? text.substr(0, line) : text);
  }

  static bool all_space(std::string_view text) {
    size_t at = 0;
    while (at < text.size()) {
      const size_t bytes = space_at(text, at);
      if (bytes == 0) return false;
      at += bytes;
    }
    return true;
  }

  void emit_text(std::string text) {
    if (!text.empty()) add(TokenKind::kText, std::move(text));
  }

  void text() {
    const size_t tag = next_tag();
    if (tag == std::string::npos) {
      emit_text(source_.substr(at_));
      return advance(source_.size());
    }
    const char kind = source_[tag + 1];
    emit_text(text_before(tag, tag + 2, kind == '{'));
    advance(tag);
    size_t raw_end = 0;
    if (kind == '%' && raw_tag(tag, raw_end)) return raw(raw_end);
    const char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
    const size_t begin = tag + (sign == '-' || sign == '+' ? 3 : 2);
    if (kind == '#') return comment(begin);
    add(kind == '{' ? TokenKind::kVariableBegin : TokenKind::kBlockBegin, "");
    advance(begin);
    tag_tokens(kind == '{');
  }

  // Moves behind the end of a block or comment, whose "%}" or "#}" stands at `at`.
  void close_block(size_t at, char sign) {
    size_t end = at + 2;
    if (sign == '-') {
      end = skip_space(end);
    } else if (sign != '+' && end < source_.size() && source_[end] == '\n') {
      ++end;
    }
    advance(end);
  }

  void comment(size_t begin) {
    const size_t end = source_.find("#}", begin);
    if (end == std::string::npos) fail_here("a comment has no end; expected #}");
    const char sign = end > begin ? source_[end - 1] : ' ';
    close_block(end, sign);
  }

  void raw(size_t begin) {
    advance(begin);
    for (size_t at = source_.find("{%", at_); at != std::string::npos;
         at = source_.find("{%", at + 1)) {
      size_t p = at + 2;
      if (p < source_.size() && (source_[p] == '-' || source_[p] == '+')) ++p;
      p = skip_space(p);
      if (source_.compare(p, 6, "endraw") != 0) continue;
      p = skip_space(p + 6);
      const char sign = p < source_.size() ? source_[p] : ' ';
      if (sign == '-' || sign == '+') ++p;
      if (source_.compare(p, 2, "%}") != 0) continue;
      emit_text(text_before(at, at + 2, false));
      return close_block(p, sign);
    }
    fail_here("{% raw %} has no {% endraw %}");
  }

  // Whether the tag ends here; moves behind its end.
  bool tag_end(bool variable) {
    const std::string_view end = variable ? "}}" : "%}";
    const bool signed_end = here(concat('-', end)) || (!variable && here(concat('+', end)));
    if (!signed_end && !here(end)) return false;
    const char sign = signed_end ? source_[at_] : ' ';
    add(variable ? TokenKind::kVariableEnd : TokenKind::kBlockEnd, "");
    const size_t at = at_ + (signed_end ? 1 : 0);
    if (!variable) {
      close_block(at, sign);
    } else {
      advance(sign == '-' ? skip_space(at + 2) : at + 2);
    }
    return true;
  }

  void tag_tokens(bool variable) {
    std::string open;  // brackets to be closed before the tag may end
    while (at_ < source_.size()) {
      if (open.empty() && tag_end(variable)) return;
      const size_t after_space = skip_space(at_);
      if (after_space > at_) {
        advance(after_space);
        continue;
      }
      const char c = source_[at_];
      if (digit(c)) {
        number();
      } else if (name_start(c)) {
        name();
      } else if (c == '\'' || c == '"') {
        string(c);
      } else {
        operator_token(open);
      }
    }
    fail_here(variable ? "{{ has no }}" : "{% has no %}");
  }

  void name() {
    size_t end = at_;
    while (end < source_.size() && name_char(source_[end])) ++end;
    add(TokenKind::kName, source_.substr(at_, end - at_));
    advance(end);
  }

  void operator_token(std::string& open) {
    const char c = source_[at_];
    for (const std::string_view op : kTwoCharOperators) {
      if (!here(op)) continue;
      add(TokenKind::kOperator, std::string(op));
      return advance(at_ + 2);
    }
    if (kOneCharOperators.find(c) == std::string_view::npos) {
      fail_here(concat("unexpected character ", describe_character(static_cast<unsigned char>(c))));
    }
    if (c == '(') open += ')';
    if (c == '[') open += ']';
    if (c == '{') open += '}';
    if (c == ')' || c == ']' || c == '}') {
      if (open.empty()) fail_here(concat("unexpected '", c, "'"));
      if (open.back() != c) fail_here(concat("unexpected '", c, "'; expected '", open.back(), "'"));
      open.pop_back();
    }
    add(TokenKind::kOperator, std::string(1, c));
    advance(at_ + 1);
  }

  size_t digits(size_t at, std::string& text) const {
    while (at < source_.size() &&
           (digit(source_[at]) ||
            (source_[at] == '_' && at + 1 < source_.size() && digit(source_[at + 1])))) {
      if (source_[at] != '_') text += source_[at];
      ++at;
    }
    return at;
  }

  bool based_number() {
    const char c = at_ + 1 < source_.size() ? static_cast<char>(source_[at_ + 1] | 0x20) : ' ';
    const int base = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 0;
    if (source_[at_] != '0' || base == 0) return false;
    std::string text;
    size_t end = at_ + 2;
    while (end < source_.size() && (name_char(source_[end]))) {
      if (source_[end] != '_') text += source_[end];
      ++end;
    }
    add_integer(text, base);
    advance(end);
    return true;
  }

  void add_integer(const std::string& text, int base) {
    int64_t value = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (result.ec != std::errc() || result.ptr != text.data() + text.size()) {
      fail_here(concat("the number ", text, " is malformed or beyond 64 bits"));
    }
    add(TokenKind::kNumber, text);
    tokens_.back().number = Value(value);
  }

  void number() {
    if (based_number()) return;
    std::string text;
    size_t end = digits(at_, text);
    bool is_float = false;
    if (end + 1 < source_.size() && source_[end] == '.' && digit(source_[end + 1])) {
      is_float = true;
      text += '.';
      end = digits(end + 1, text);
    }
    size_t e = end;
    if (e < source_.size() && (source_[e] | 0x20) == 'e') {
      std::string exponent = "e";
      ++e;
      if (e < source_.size() && (source_[e] == '+' || source_[e] == '-')) exponent += source_[e++];
      if (e < source_.size() && digit(source_[e])) {
        is_float = true;
        end = digits(e, exponent);
        text += exponent;
      }
    }
    if (!is_float) {
      add_integer(text, 10);
    } else {
      add(TokenKind::kNumber, text);
      tokens_.back().number = Value(std::strtod(text.c_str(), nullptr));
    }
    advance(end);
  }

  void string(char quote) {
    size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) fail_here("a string has no end");
    add(TokenKind::kString, unescaped(std::string_view(source_).substr(at_ + 1, end - at_ - 1)));
    advance(end + 1);
  }

  // Python's string escapes; one it does not know stays as it is.
  std::string unescaped(std::string_view text) const {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\' || i + 1 == text.size()) {
        out += text[i];
        continue;
      }
      const char c = text[++i];
      static constexpr std::string_view kNames = "abfnrtv\\'\"";
      static constexpr std::string_view kValues = "\a\b\f\n\r\t\v\\'\"";
      const size_t known = kNames.find(c);
      if (known != std::string_view::npos) {
        out += kValues[known];
      } else if (c == 'x' || c == 'u' || c == 'U') {
        const size_t count = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        append_code_point(out, text, i + 1, count, 16);
        i += count;
      } else if (c >= '0' && c <= '7') {
        size_t count = 1;
        while (count < 3 && i + count < text.size() && text[i + count] >= '0' &&
               text[i + count] <= '7') {
          ++count;
        }
        append_code_point(out, text, i, count, 8);
        i += count - 1;
      } else if (c != '\n') {
        out += '\\';
        out += c;
      }
    }
    return out;
  }

  void append_code_point(std::string& out, std::string_view text, size_t at, size_t count,
                         int base) const {
    uint32_t code = 0;
    const char* end = text.data() + std::min(text.size(), at + count);
    const auto result = std::from_chars(text.data() + std::min(at, text.size()), end, code, base);
    if (at + count > text.size() || result.ec != std::errc() || result.ptr != end ||
        code > 0x10FFFF) {
      fail_here("a string has a malformed \\x, \\u or octal escape");
    }
    const bool surrogate = code >= 0xD800 && code < 0xE000;  // no character by itself
    append_utf8(out, surrogate ? 0xFFFD : code);
  }

  std::string source_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

size_t space_at(std::string_view text, size_t at) {
  if (at >= text.size()) return 0;
  const auto c = static_cast<unsigned char>(text[at]);
  if (c < 0x80) return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) ? 1 : 0;
  if (c != 0xC2 && (c < 0xE1 || c > 0xE3)) return 0;
  size_t end = at;
  const char32_t code = next_code_point(text, end);
  const bool space = code == 0x85 || code == 0xA0 || code == 0x1680 ||
                     (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 ||
                     code == 0x202F || code == 0x205F || code == 0x3000;
  return space ? end - at : 0;
}

std::vector<Token> tokenize(std::string_view source) {
  if (const auto bad = invalid_utf8_offset(source)) {
    throw SyntaxFault{concat("byte ", *bad, " is not UTF-8"), 1};
  }
  return Lexer(normalized(source)).run();
}

}  // namespace fathom::jinja
