// Filters of single values and of sequences. Where Jinja gives a generator, this gives a list.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

#include "text/jinja/interpreter.h"
#include "text/jinja/strings.h"
#include "text/utf8.h"

namespace fathom::jinja {
namespace {

using Filter = Value (*)(Interpreter&, const Value&, ArgumentReader&);

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

// ---- sequences ----------------------------------------------------------------------------------

Value length_filter(Interpreter&, const Value& value, ArgumentReader&) {
  if (value.is_string()) return Value(length(value.bytes()));
  if (value.is_list()) return Value(static_cast<int64_t>(value.items().size()));
  if (value.is_dict()) return Value(static_cast<int64_t>(value.dict().entries.size()));
  if (value.is_undefined()) return Value(int64_t{0});
  fault("a ", value.type_name(), " has no length");
}

Value list_filter(Interpreter& in, const Value& value, ArgumentReader&) {
  const std::shared_ptr<const ListBox> items = in.iterate(value);
  return items->tuple ? in.heap().list(items->items) : Value(items);
}

Value first_filter(Interpreter& in, const Value& value, ArgumentReader&) {
  const std::shared_ptr<const ListBox> items = in.iterate(value);
  return items->items.empty() ? Value::undefined("there is no first item") : items->items.front();
}

Value last_filter(Interpreter& in, const Value& value, ArgumentReader&) {
  const std::shared_ptr<const ListBox> items = in.iterate(value);
  return items->items.empty() ? Value::undefined("there is no last item") : items->items.back();
}

Value reverse_filter(Interpreter& in, const Value& value, ArgumentReader&) {
  const std::shared_ptr<const ListBox> items = in.iterate(value);
  std::vector<Value> reversed(items->items.rbegin(), items->items.rend());
  if (!value.is_string()) return in.heap().list(std::move(reversed));
  MarkedText out;
  for (const Value& item : reversed) out.append(item.text());
  return in.heap().text(std::move(out));
}

Value items_filter(Interpreter& in, const Value& value, ArgumentReader&) {
  if (value.is_undefined()) return in.heap().list({});
  if (mapping_of(value) == nullptr) fault("items needs a mapping, not ", value.type_name());
  return call_method(in, value, "items", {});
}

// "a.b.0" of an item; a whole number is an index.
Value attribute_path(Interpreter& in, const Value& item, const Value& path) {
  if (!path.is_string()) return in.subscript(item, path);
  Value value = item;
  for (const MarkedText& part : split(path.text(), ".", -1)) {
    const std::string& name = part.bytes();
    const bool index = !name.empty() && name.size() < 10 &&
                       name.find_first_not_of("0123456789") == std::string::npos;
    value = in.subscript(
        value, index ? Value(int64_t{std::stoll(name)}) : Value::string(MarkedText(name)));
  }
  return value;
}

Value folded(Interpreter& in, const Value& value, bool case_sensitive) {
  if (case_sensitive || !value.is_string()) return value;
  in.heap().step(static_cast<int64_t>(value.bytes().size()) / 8);
  return in.heap().text(lower(value.text()));
}

struct Keyed {
  Value key, item;
};

// What sort, unique, min, max and groupby order by.
std::vector<Keyed> keyed(Interpreter& in, const Value& value, const Value& attribute,
                         bool case_sensitive) {
  std::vector<Keyed> out;
  const std::shared_ptr<const ListBox> walked = in.iterate(value);
  for (const Value& item : walked->items) {
    if (attribute.is_none()) {
      out.push_back({folded(in, item, case_sensitive), item});
      continue;
    }
    std::vector<Value> keys;
    if (attribute.is_string()) {
      for (MarkedText& path : split(attribute.text(), ",", -1)) {
        keys.push_back(
            folded(in, attribute_path(in, item, Value::string(std::move(path))), case_sensitive));
      }
    } else {
      keys.push_back(folded(in, attribute_path(in, item, attribute), case_sensitive));
    }
    const bool single = keys.size() == 1;
    out.push_back({single ? keys.front() : in.heap().list(std::move(keys)), item});
  }
  return out;
}

void sort_keyed(Interpreter& in, std::vector<Keyed>& items, bool reverse) {
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& a, const Keyed& b) {
    return reverse ? in.order(b.key, a.key) < 0 : in.order(a.key, b.key) < 0;
  });
}

Value items_of(Interpreter& in, const std::vector<Keyed>& sorted) {
  std::vector<Value> out;
  for (const Keyed& each : sorted) out.push_back(each.item);
  return in.heap().list(std::move(out));
}

Value sort_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  const bool reverse = arguments.bool_or("reverse", false);
  const bool case_sensitive = arguments.bool_or("case_sensitive", false);
  std::vector<Keyed> items =
      keyed(in, value, arguments.or_else("attribute", Value()), case_sensitive);
  sort_keyed(in, items, reverse);
  return items_of(in, items);
}

Value dictsort_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  const bool case_sensitive = arguments.bool_or("case_sensitive", false);
  const MarkedText* by = arguments.text("by");
  const bool reverse = arguments.bool_or("reverse", false);
  if (by != nullptr && by->bytes() != "key" && by->bytes() != "value") {
    fault("dictsort: sort by either key or value");
  }
  if (mapping_of(value) == nullptr) fault("dictsort needs a mapping, not ", value.type_name());
  const int64_t column = by != nullptr && by->bytes() == "value" ? 1 : 0;
  std::vector<Keyed> items =
      keyed(in, call_method(in, value, "items", {}), Value(column), case_sensitive);
  sort_keyed(in, items, reverse);
  return items_of(in, items);
}

Value unique_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  const bool case_sensitive = arguments.bool_or("case_sensitive", false);
  std::vector<Keyed> kept;
  for (Keyed& each : keyed(in, value, arguments.or_else("attribute", Value()), case_sensitive)) {
    const bool seen = std::any_of(kept.begin(), kept.end(),
                                  [&](const Keyed& old) { return in.equals(old.key, each.key); });
    in.heap().step(static_cast<int64_t>(kept.size()) / 4);
    if (!seen) kept.push_back(std::move(each));
  }
  return items_of(in, kept);
}

template <bool kMost>
Value extreme_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  const bool case_sensitive = arguments.bool_or("case_sensitive", false);
  const std::vector<Keyed> items =
      keyed(in, value, arguments.or_else("attribute", Value()), case_sensitive);
  if (items.empty()) return Value::undefined("no item of an empty sequence");
  const Keyed* best = &items.front();
  for (const Keyed& each : items) {
    const int order = in.order(each.key, best->key);
    if (kMost ? order > 0 : order < 0) best = &each;
  }
  return best->item;
}

Value groupby_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  const Value attribute = arguments.required("attribute");
  const Value fallback = arguments.or_else("default", Value());
  const bool case_sensitive = arguments.bool_or("case_sensitive", false);
  std::vector<Keyed> items = keyed(in, value, attribute, case_sensitive);
  for (Keyed& each : items) {
    if (each.key.is_undefined()) each.key = fallback;
  }
  sort_keyed(in, items, false);
  std::vector<Value> groups;
  for (size_t at = 0; at < items.size();) {
    std::vector<Value> group;
    const size_t first = at;
    while (at < items.size() && in.equals(items[at].key, items[first].key)) {
      group.push_back(items[at++].item);
    }
    const Value name = attribute_path(in, group.front(), attribute);
    groups.push_back(in.heap().list(
        {name.is_undefined() ? fallback : name, in.heap().list(std::move(group))}, true));
  }
  return in.heap().list(std::move(groups));
}

Value sum_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  const Value attribute = arguments.or_else("attribute", Value());
  Value total = arguments.or_else("start", Value(int64_t{0}));
  const std::shared_ptr<const ListBox> walked = in.iterate(value);
  for (const Value& item : walked->items) {
    in.heap().step();
    total = in.binary(BinaryOp::kAdd, total,
                      attribute.is_none() ? item : attribute_path(in, item, attribute));
  }
  return total;
}

Value join_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  const Value between = arguments.or_else("d", Value::string(""));
  const Value attribute = arguments.or_else("attribute", Value());
  const MarkedText separator = soft_text(in, between);
  MarkedText out;
  bool first = true;
  const std::shared_ptr<const ListBox> walked = in.iterate(value);
  for (const Value& item : walked->items) {
    const MarkedText text =
        soft_text(in, attribute.is_none() ? item : attribute_path(in, item, attribute));
    in.heap().expect_text(out.size() + separator.size() + text.size());
    if (!first) out.append(separator);
    out.append(text);
    first = false;
  }
  return in.heap().text(std::move(out));
}

Value batch_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  const int64_t size = arguments.int_or("linecount", 1);
  const Value fill = arguments.or_else("fill_with", Value());
  if (size < 1 || size > 1'000'000) fault("batch: a size of ", size);
  std::vector<Value> batches, now;
  const auto close = [&] { batches.push_back(in.heap().list(std::exchange(now, {}))); };
  const std::shared_ptr<const ListBox> walked = in.iterate(value);
  for (const Value& item : walked->items) {
    if (static_cast<int64_t>(now.size()) == size) close();
    now.push_back(item);
  }
  if (now.empty()) return in.heap().list(std::move(batches));
  if (!fill.is_none()) now.resize(static_cast<size_t>(size), fill);
  close();
  return in.heap().list(std::move(batches));
}

Value slice_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  const int64_t slices = arguments.int_or("slices", 1);
  const Value fill = arguments.or_else("fill_with", Value());
  if (slices < 1 || slices > 1'000'000) fault("slice: ", slices, " slices");
  const std::shared_ptr<const ListBox> items = in.iterate(value);
  const int64_t size = static_cast<int64_t>(items->items.size());
  std::vector<Value> out;
  int64_t at = 0;
  for (int64_t i = 0; i < slices; ++i) {
    const int64_t count = size / slices + (i < size % slices ? 1 : 0);
    std::vector<Value> part(items->items.begin() + at, items->items.begin() + at + count);
    if (!fill.is_none() && i >= size % slices) part.push_back(fill);
    out.push_back(in.heap().list(std::move(part)));
    at += count;
  }
  return in.heap().list(std::move(out));
}

// ---- others -------------------------------------------------------------------------------------

Value default_filter(Interpreter&, const Value& value, ArgumentReader& arguments) {
  const Value fallback = arguments.or_else("default_value", Value::string(""));
  const bool falsy_too = arguments.bool_or("boolean", false);
  return value.is_undefined() || (falsy_too && !value.truth()) ? fallback : value;
}

Value attr_filter(Interpreter& in, const Value& value, ArgumentReader& arguments) {
  const MarkedText* name = arguments.text("name");
  if (name == nullptr) fault("attr: the argument 'name' is missing");
  // Only real attributes, no members of a dict.
  if (value.is_dict() && !has_method(value, name->bytes())) {
    return Value::undefined(concat("'dict object' has no attribute '", name->bytes(), "'"));
  }
  return in.attribute(value, name->bytes());
}

const std::map<std::string_view, Filter>& filters() {
  static const std::map<std::string_view, Filter> table = {
      {"abs", abs_filter},
      {"attr", attr_filter},
      {"batch", batch_filter},
      {"capitalize", mapped_filter<capitalize>},
      {"center", center_filter},
      {"count", length_filter},
      {"d", default_filter},
      {"default", default_filter},
      {"dictsort", dictsort_filter},
      {"e", escape_filter},
      {"escape", escape_filter},
      {"first", first_filter},
      {"float", float_filter},
      {"forceescape", mapped_filter<escape_html>},
      {"groupby", groupby_filter},
      {"indent", indent_filter},
      {"int", int_filter},
      {"items", items_filter},
      {"join", join_filter},
      {"last", last_filter},
      {"length", length_filter},
      {"list", list_filter},
      {"lower", mapped_filter<lower>},
      {"max", extreme_filter<true>},
      {"min", extreme_filter<false>},
      {"replace", replace_filter},
      {"reverse", reverse_filter},
      {"round", round_filter},
      {"safe", safe_filter},
      {"slice", slice_filter},
      {"sort", sort_filter},
      {"string", string_filter},
      {"sum", sum_filter},
      {"title", mapped_filter<title_filter>},
      {"tojson", json_filter},
      {"trim", trim_filter},
      {"truncate", truncate_filter},
      {"unique", unique_filter},
      {"upper", mapped_filter<upper>},
      {"urlencode", urlencode_filter},
      {"wordcount", wordcount_filter},
  };
  return table;
}

// select, reject, selectattr and rejectattr: the first argument of the latter two is an attribute,
// the next names a test, the others are the test's.
Value select_filter(Interpreter& in, std::string_view name, const Value& value,
                    const CallValues& values) {
  const bool by_attribute = name.ends_with("attr");
  const bool keep = name.starts_with("select");
  size_t used = by_attribute ? 1 : 0;
  if (values.positional.size() < used) fault(name, ": the attribute is missing");
  const bool tested = values.positional.size() > used;
  const Value test = tested ? values.positional[used] : Value();
  if (tested && !test.is_string()) fault(name, ": the name of a test is a string");
  CallValues rest;
  rest.named = values.named;
  if (tested) {
    rest.positional.assign(values.positional.begin() + static_cast<std::ptrdiff_t>(used) + 1,
                           values.positional.end());
  }
  std::vector<Value> kept;
  const std::shared_ptr<const ListBox> walked = in.iterate(value);
  for (const Value& item : walked->items) {
    in.heap().step();
    const Value looked = by_attribute ? attribute_path(in, item, values.positional[0]) : item;
    const bool holds = tested ? apply_test(in, test.bytes(), looked, rest) : looked.truth();
    if (holds == keep) kept.push_back(item);
  }
  return in.heap().list(std::move(kept));
}

Value map_filter(Interpreter& in, const Value& value, const CallValues& values) {
  std::vector<Value> out;
  const std::shared_ptr<const ListBox> items = in.iterate(value);
  if (values.positional.empty()) {
    ArgumentReader arguments("map", values);
    const Value attribute = arguments.required("attribute");
    const Value fallback = arguments.or_else("default", Value());
    const bool has_fallback = values.named.size() > 1;
    arguments.done();
    for (const Value& item : items->items) {
      Value found = attribute_path(in, item, attribute);
      out.push_back(found.is_undefined() && has_fallback ? fallback : std::move(found));
    }
    return in.heap().list(std::move(out));
  }
  const Value filter = values.positional.front();
  if (!filter.is_string()) fault("map: the name of a filter is a string");
  CallValues rest;
  rest.positional.assign(values.positional.begin() + 1, values.positional.end());
  rest.named = values.named;
  for (const Value& item : items->items) {
    in.heap().step();
    out.push_back(apply_filter(in, filter.bytes(), item, rest));
  }
  return in.heap().list(std::move(out));
}

}  // namespace

Value apply_filter(Interpreter& in, std::string_view name, const Value& input,
                   const CallValues& values) {
  // A filter walks its input at least once.
  if (input.is_string()) in.heap().step(static_cast<int64_t>(input.bytes().size()) / 32);
  if (input.is_list()) in.heap().step(static_cast<int64_t>(input.items().size()) / 4);
  if (name == "map") {
    // Through `map` a filter can call itself as often as its arguments say.
    if (!values.positional.empty() && values.positional.front().is_string() &&
        values.positional.front().bytes() == "map" && values.positional.size() > 60) {
      fault("map within map, more than 60 deep");
    }
    return map_filter(in, input, values);
  }
  if (name == "select" || name == "reject" || name == "selectattr" || name == "rejectattr") {
    return select_filter(in, name, input, values);
  }
  if (name == "format") {
    return in.heap().text(format_percent(in, in.text_of(input), values));
  }
  const auto filter = filters().find(name);
  if (filter == filters().end()) fault("there is no filter named '", name, "'");
  ArgumentReader arguments(name, values);
  const Value result = filter->second(in, input, arguments);
  arguments.done();
  return result;
}

}  // namespace fathom::jinja
