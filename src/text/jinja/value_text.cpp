// Values as text: Python's str() and repr(), and json.dumps.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "text/jinja/fault.h"
#include "text/jinja/value.h"
#include "text/utf8.h"

namespace fathom::jinja {
namespace {

void check_size(const MarkedText& text, size_t limit) {
  if (text.size() > limit) fault("a text of more than ", limit, " bytes; the sandbox refuses it");
}

// Code points that Python's repr() writes as they are; spaces and format characters other than ' '
// are escaped.
bool printable(char32_t c) {
  if (c < 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0xAD) return false;
  if ((c >= 0x2000 && c <= 0x200F) || (c >= 0x2028 && c <= 0x202F)) return false;
  if (c >= 0x205F && c <= 0x206F) return false;
  if (c == 0x1680 || c == 0x3000 || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFB)) return false;
  if (c >= 0xE000 && c <= 0xF8FF) return false;
  return c < 0xF0000;
}

std::string escaped(char32_t c) {
  char buffer[16];
  const char* form = c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x";
  std::snprintf(buffer, sizeof buffer, form, static_cast<unsigned>(c));
  return buffer;
}

// Appends `text` with each code point for which `escape` gives a non-empty string replaced by that.
template <class Escape>
void append_escaped(const MarkedText& text, const Escape& escape, MarkedText& out) {
  const std::string& bytes = text.bytes();
  size_t kept = 0;  // where the run of characters that stay as they are begins
  for (size_t at = 0; at < bytes.size();) {
    const size_t start = at;
    const std::string replacement = escape(next_code_point(bytes, at));
    if (replacement.empty()) continue;
    out.append(text.substr(kept, start - kept));
    out.append(replacement, text.marks()[start]);
    kept = at;
  }
  out.append(text.substr(kept));
}

void append_string_repr(const MarkedText& text, MarkedText& out) {
  const std::string& bytes = text.bytes();
  const bool doubled =
      bytes.find('\'') != std::string::npos && bytes.find('"') == std::string::npos;
  const char quote = doubled ? '"' : '\'';
  const auto escape = [&](char32_t c) -> std::string {
    if (c == '\n') return "\\n";
    if (c == '\r') return "\\r";
    if (c == '\t') return "\\t";
    if (c == '\\' || c == static_cast<unsigned char>(quote)) return {'\\', static_cast<char>(c)};
    return printable(c) ? "" : escaped(c);
  };
  out.append(std::string_view(&quote, 1));
  append_escaped(text, escape, out);
  out.append(std::string_view(&quote, 1));
}

void append_repr(const Value& value, size_t limit, MarkedText& out);

void append_list_repr(const ListBox& list, size_t limit, MarkedText& out) {
  out.append(list.tuple ? "(" : "[");
  for (size_t i = 0; i < list.items.size(); ++i) {
    if (i > 0) out.append(", ");
    append_repr(list.items[i], limit, out);
  }
  if (list.tuple && list.items.size() == 1) out.append(",");
  out.append(list.tuple ? ")" : "]");
}

void append_dict_repr(const DictBox& dict, size_t limit, MarkedText& out) {
  out.append("{");
  for (size_t i = 0; i < dict.entries.size(); ++i) {
    if (i > 0) out.append(", ");
    append_repr(dict.entries[i].first, limit, out);
    out.append(": ");
    append_repr(dict.entries[i].second, limit, out);
  }
  out.append("}");
}

void append_repr(const Value& value, size_t limit, MarkedText& out) {
  check_size(out, limit);
  switch (value.kind()) {
    case Value::Kind::kUndefined:
      return out.append("Undefined");
    case Value::Kind::kNone:
      return out.append("None");
    case Value::Kind::kBool:
      return out.append(value.as_bool() ? "True" : "False");
    case Value::Kind::kInt:
      return out.append(std::to_string(value.as_int()));
    case Value::Kind::kFloat:
      return out.append(float_text(value.as_double()));
    case Value::Kind::kString:
      return append_string_repr(value.text(), out);
    case Value::Kind::kList:
      return append_list_repr(*value.list_box(), limit, out);
    case Value::Kind::kDict:
      return append_dict_repr(value.dict(), limit, out);
    case Value::Kind::kObject:
      return out.append("<" + value.object()->type_name() + ">");
  }
}

class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, size_t limit) : style_(style), limit_(limit) {}

  void write(const Value& value, int level) {
    check_size(out, limit_);
    switch (value.kind()) {
      case Value::Kind::kNone:
        return out.append("null");
      case Value::Kind::kBool:
        return out.append(value.as_bool() ? "true" : "false");
      case Value::Kind::kInt:
        return out.append(std::to_string(value.as_int()));
      case Value::Kind::kFloat:
        return out.append(number(value.as_double()));
      case Value::Kind::kString:
        if (value.string_box()->spelled) return out.append(value.text());
        return write_string(value.text());
      case Value::Kind::kList:
        return write_list(value, level);
      case Value::Kind::kDict:
        return write_dict(value, level);
      case Value::Kind::kUndefined:
        fault(value.hint(), ", and JSON has no such value");
      case Value::Kind::kObject:
        fault("Object of type ", value.object()->type_name(), " is not JSON serializable");
    }
  }

  MarkedText out;

 private:
  static std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
    return float_text(value);
  }

  void break_line(int level) {
    if (style_.indent == nullptr) return;
    out.append("\n");
    for (int i = 0; i < level; ++i) {
      out.append(*style_.indent);
      check_size(out, limit_);
    }
  }

  void write_list(const Value& value, int level) {
    if (value.items().empty()) return out.append("[]");
    out.append("[");
    for (size_t i = 0; i < value.items().size(); ++i) {
      if (i > 0) out.append(style_.item_separator);
      break_line(level + 1);
      write(value.items()[i], level + 1);
    }
    break_line(level);
    out.append("]");
  }

  void write_dict(const Value& value, int level) {
    std::vector<const DictBox::Entry*> entries;
    for (const DictBox::Entry& entry : value.dict().entries) entries.push_back(&entry);
    if (entries.empty()) return out.append("{}");
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(), [](const auto* a, const auto* b) {
        return key(a).bytes() < key(b).bytes();
      });
    }
    out.append("{");
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) out.append(style_.item_separator);
      break_line(level + 1);
      write_string(key(entries[i]));
      out.append(style_.key_separator);
      write(entries[i]->second, level + 1);
    }
    break_line(level);
    out.append("}");
  }

  static MarkedText key(const DictBox::Entry* entry) {
    const Value& value = entry->first;
    if (value.is_string()) return value.text();
    if (value.is_none()) return MarkedText("null");
    if (value.is_bool()) return MarkedText(value.as_bool() ? "true" : "false");
    if (value.is_int()) return MarkedText(std::to_string(value.as_int()));
    if (value.is_number()) return MarkedText(number(value.as_double()));
    fault("keys must be str, int, float, bool or None, not ", value.type_name());
  }

  void write_string(const MarkedText& text) {
    out.append("\"");
    append_escaped(
        text, [this](char32_t c) { return escape_of(c); }, out);
    out.append("\"");
  }

  std::string escape_of(char32_t c) const {
    switch (c) {
      case '"':
        return "\\\"";
      case '\\':
        return "\\\\";
      case '\n':
        return "\\n";
      case '\r':
        return "\\r";
      case '\t':
        return "\\t";
      case '\b':
        return "\\b";
      case '\f':
        return "\\f";
      default:
        break;
    }
    if (c >= 0x20 && (c < 0x7F || !style_.ensure_ascii)) return "";
    if (c == 0x7F) return "";
    if (c < 0x10000) return unit(c);
    return unit(0xD800 + ((c - 0x10000) >> 10)) + unit(0xDC00 + ((c - 0x10000) & 0x3FF));
  }

  static std::string unit(char32_t c) {
    char buffer[12];
    std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(c));
    return buffer;
  }

  const JsonStyle& style_;
  size_t limit_;
};

}  // namespace

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char buffer[64];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  std::string digits(buffer, end.ptr);
  const size_t e = digits.find('e');
  const int exponent = std::atoi(digits.c_str() + e + 1);
  if (exponent >= -4 && exponent < 16) {
    const auto fixed_end =
        std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
    std::string text(buffer, fixed_end.ptr);
    if (text.find('.') == std::string::npos) text += ".0";
    return text;
  }
  char tail[16];
  std::snprintf(tail, sizeof tail, "e%c%02d", exponent < 0 ? '-' : '+', std::abs(exponent));
  return digits.substr(0, e) + tail;
}

MarkedText repr(const Value& value, size_t limit) {
  MarkedText out;
  append_repr(value, limit, out);
  check_size(out, limit);
  return out;
}

MarkedText to_text(const Value& value, size_t limit) {
  if (value.is_string()) return value.text();
  if (value.is_undefined()) return {};
  if (value.is_dict() && value.dict().spelling) return value.dict().spelling->text;
  return repr(value, limit);
}

MarkedText to_json(const Value& value, const JsonStyle& style, size_t limit) {
  JsonWriter writer(style, limit);
  writer.write(value, 0);
  check_size(writer.out, limit);
  return writer.out;
}

}  // namespace fathom::jinja
