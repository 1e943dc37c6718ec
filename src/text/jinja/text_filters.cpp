// Filters of single values.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "text/jinja/filter_table.h"
#include "text/jinja/strings.h"
#include "text/utf8.h"

namespace fathom::jinja {
namespace {

MarkedText soft_text(Interpreter& in, const Value& value) { return in.text_of(value); }

// ---- text ---------------------------------------------------------------------------------------

template <MarkedText (*kMap)(const MarkedText&)>
Value mapped_filter(Interpreter& in, const Value& value, ArgumentReader&) {
  const MarkedText text = soft_text(in, value);
  in.heap().expect_text(4 * text.size());
  return in.heap().text(kMap(text));
}

Value trim_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  const Value* chars = arguments.next("chars");
  std::optional<std::string_view> set;
  if (chars != nullptr && chars->is_string()) set = chars->bytes();
  return in.heap().text(strip(soft_text(in, value), set, true, true));
}

Value method_filter(Interpreter& in, const Value& value, std::string_view method,
                    std::vector<Value> arguments) {
  CallValues values;
  values.positional = std::move(arguments);
  return call_method(in, in.heap().text(soft_text(in, value)), method, values);
}

Value replace_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  std::vector<Value> given = {in.heap().text(soft_text(in, arguments.required("old"))),
                              in.heap().text(soft_text(in, arguments.required("new")))};
  given.push_back(arguments.or_else("count", Value()));
  return method_filter(in, value, "replace", std::move(given));
}

Value center_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  return method_filter(in, value, "center", {Value(arguments.int_or("width", 80))});
}

Value indent_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  if (value.is_undefined()) fault(value.hint());
  if (!value.is_string()) fault("indent needs a string, not ", value.type_name());
  const Value width = arguments.or_else("width", Value(int64_t{4}));
  const bool first = arguments.bool_or("first", false), blank = arguments.bool_or("blank", false);
  if (!width.is_string() && !width.is_int()) fault("indent: a width is an integer or a string");
  in.heap().expect_memory(value.bytes().size() / 2 * kPieceBytes);
  MarkedText with_end = value.text();
  with_end.append("\n");
  const std::vector<MarkedText> lines = split_lines(with_end, false);
  const auto spaces =
      width.is_int() ? static_cast<size_t>(std::max<int64_t>(width.as_int(), 0)) : 0;
  const size_t wide = width.is_string() ? width.bytes().size() : spaces;
  in.heap().expect_text(std::min(wide, in.heap().text_limit() + 1) * lines.size() +
                        with_end.size());
  const MarkedText indention =
      width.is_string() ? width.text() : MarkedText(std::string(spaces, ' '));
  MarkedText out;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out.append("\n");
    if (i == 0 ? first : blank || !lines[i].empty()) out.append(indention);
    out.append(lines[i]);
  }
  return in.heap().text(std::move(out));
}

Value truncate_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  const MarkedText text = soft_text(in, value);
  const int64_t length_limit = arguments.int_or("length", 255);
  const bool kill_words = arguments.bool_or("killwords", false);
  const MarkedText* given = arguments.text("end");
  const MarkedText end = given == nullptr ? MarkedText("...") : *given;
  const int64_t leeway = arguments.int_or("leeway", 5);
  const int64_t kept = length_limit - length(end.bytes());
  if (kept < 0 || leeway < 0) fault("truncate: the length is too small");
  if (length(text.bytes()) - leeway <= length_limit) return in.heap().text(text);
  MarkedText out = slice(text, 0, kept, 1);
  const size_t space = out.bytes().rfind(' ');
  if (!kill_words && space != std::string::npos) out = out.substr(0, space);
  out.append(end);
  return in.heap().text(std::move(out));
}

Value wordcount_filter(Interpreter& in, const Value& value, ArgumentReader&) {
  int64_t words = 0;
  bool inside = false;
  const MarkedText text = soft_text(in, value);
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text.bytes(), at);
    const bool word = c == '_' || is_letter(c) || (c >= '0' && c <= '9');
    if (word && !inside) ++words;
    inside = word;
  }
  return Value(words);
}

Value safe_filter(Interpreter& in, const Value& value, ArgumentReader&) {
  return in.heap().text(soft_text(in, value), true);
}

Value escape_filter(Interpreter& in, const Value& value, ArgumentReader&) {
  if (value.is_string() && value.string_box()->markup) return value;
  const MarkedText text = soft_text(in, value);
  in.heap().expect_text(5 * text.size());
  return in.heap().text(escape_html(text), true);
}

Value string_filter(Interpreter& in, const Value& value, ArgumentReader&) {
  return value.is_string() ? value : in.heap().text(soft_text(in, value));
}

Value urlencode_filter(Interpreter& in, const Value& value, ArgumentReader&) {
  static constexpr std::string_view kPlain = "-._~/";
  const MarkedText text = soft_text(in, value);
  in.heap().expect_text(3 * text.size());
  MarkedText out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text.bytes()[i];
    const bool plain = static_cast<unsigned char>(c) < 0x80 &&
                       (is_letter(static_cast<unsigned char>(c)) || (c >= '0' && c <= '9') ||
                        kPlain.find(c) != std::string_view::npos);
    char code[4];
    std::snprintf(code, sizeof code, "%%%02X",
                  static_cast<unsigned>(static_cast<unsigned char>(c)));
    out.append(plain ? std::string(1, c) : std::string(code), text.marks()[i]);
  }
  return in.heap().text(std::move(out));
}

Value json_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  JsonStyle style;
  style.ensure_ascii = arguments.bool_or("ensure_ascii", false);
  const Value indent = arguments.or_else("indent", Value());
  const Value separators = arguments.or_else("separators", Value());
  style.sort_keys = arguments.bool_or("sort_keys", false);
  MarkedText indention;
  if (!indent.is_none()) {
    if (!indent.is_string() && !indent.is_int()) fault("tojson: indent is an integer or a string");
    if (indent.is_int() && indent.as_int() > 1000) fault("tojson: an indent of ", indent.as_int());
    indention = indent.is_string()
                    ? indent.text()
                    : MarkedText(std::string(
                          static_cast<size_t>(std::max<int64_t>(indent.as_int(), 0)), ' '));
    style.indent = &indention;
    style.item_separator = MarkedText(",");
  }
  if (separators.is_list() && separators.items().size() == 2) {
    style.item_separator = soft_text(in, separators.items()[0]);
    style.key_separator = soft_text(in, separators.items()[1]);
  }
  return in.heap().text(to_json(value, style, in.heap().text_limit()));
}

// ---- numbers ------------------------------------------------------------------------------------

std::optional<double> number_in(const std::string& text) {
  const MarkedText trimmed = strip(MarkedText(text), std::nullopt, true, true);
  const std::string& bytes = trimmed.bytes();
  // strtod knows hexadecimal floats, Python's float() does not.
  if (bytes.empty() || bytes.find_first_of("xXpP") != std::string::npos) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(bytes.c_str(), &end);
  if (end != bytes.c_str() + bytes.size()) return std::nullopt;
  return value;
}

std::optional<int64_t> integer_in(const std::string& text, int base) {
  std::string bytes = strip(MarkedText(text), std::nullopt, true, true).bytes();
  std::erase(bytes, '_');
  if (bytes.empty() || bytes.find_first_of(" \t\n") != std::string::npos) return std::nullopt;
  char* end = nullptr;
  errno = 0;
  const long long value = std::strtoll(bytes.c_str(), &end, base);
  if (end != bytes.c_str() + bytes.size() || errno != 0) return std::nullopt;
  return value;
}

Value int_filter(Interpreter&, const Value& value, ArgumentReader& arguments) {
  const Value fallback = arguments.or_else("default", Value(int64_t{0}));
  const int64_t base = arguments.int_or("base", 10);
  if (base < 0 || base > 36 || base == 1) fault("int: base ", base);
  if (value.is_int()) return Value(value.as_int());
  std::optional<double> number;
  if (value.is_string()) {
    if (const auto exact = integer_in(value.bytes(), static_cast<int>(base))) return Value(*exact);
    number = number_in(value.bytes());
  } else if (value.is_number()) {
    number = value.as_double();
  }
  if (!number || !(std::fabs(*number) < 9e18)) return fallback;
  return Value(static_cast<int64_t>(*number));
}

Value float_filter(Interpreter&, const Value& value, ArgumentReader& arguments) {
  const Value fallback = arguments.or_else("default", Value(0.0));
  if (value.is_number()) return Value(value.as_double());
  if (!value.is_string()) return fallback;
  const std::optional<double> number = number_in(value.bytes());
  return number ? Value(*number) : fallback;
}

Value abs_filter(Interpreter& in, const Value& value, ArgumentReader&) {
  if (!value.is_number()) fault("abs needs a number, not ", value.type_name());
  if (!value.is_int()) return Value(std::fabs(value.as_double()));
  return value.as_int() < 0 ? in.binary(BinaryOp::kSub, Value(int64_t{0}), value)
                            : Value(value.as_int());
}

Value round_filter(Interpreter&, const Value& value, ArgumentReader& arguments) {
  const int64_t precision = std::clamp<int64_t>(arguments.int_or("precision", 0), -300, 300);
  const MarkedText* given = arguments.text("method");
  const std::string method = given == nullptr ? "common" : given->bytes();
  if (!value.is_number()) fault("round needs a number, not ", value.type_name());
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = value.as_double() * scale;
  if (method == "ceil") return Value(std::ceil(scaled) / scale);
  if (method == "floor") return Value(std::floor(scaled) / scale);
  if (method != "common") fault("round: the method is common, ceil or floor");
  if (value.is_int() && precision >= 0) return Value(value.as_int());
  if (!std::isfinite(scaled) || precision < 0) return Value(std::nearbyint(scaled) / scale);
  char text[400];  // rounds the decimal expansion half to even, as Python does
  std::snprintf(text, sizeof text, "%.*f", static_cast<int>(std::min<int64_t>(precision, 30)),
                value.as_double());
  return Value(std::strtod(text, nullptr));
}

}  // namespace

const FilterTable& text_filters() {
  static const FilterTable table = {
      {"abs", abs_filter},
      {"capitalize", mapped_filter<capitalize>},
      {"center", center_filter},
      {"e", escape_filter},
      {"escape", escape_filter},
      {"float", float_filter},
      {"forceescape", mapped_filter<escape_html>},
      {"indent", indent_filter},
      {"int", int_filter},
      {"lower", mapped_filter<lower>},
      {"replace", replace_filter},
      {"round", round_filter},
      {"safe", safe_filter},
      {"string", string_filter},
      {"title", mapped_filter<title_filter>},
      {"tojson", json_filter},
      {"trim", trim_filter},
      {"truncate", truncate_filter},
      {"upper", mapped_filter<upper>},
      {"urlencode", urlencode_filter},
      {"wordcount", wordcount_filter},
  };
  return table;
}

}  // namespace fathom::jinja
