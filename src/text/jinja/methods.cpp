// Methods of strings, lists and dicts: those of Python that change nothing.
#include <algorithm>
#include <array>
#include <map>

#include "text/jinja/interpreter.h"
#include "text/jinja/strings.h"
#include "text/utf8.h"

namespace fathom::jinja {
namespace {

using StringMethod = Value (*)(Interpreter&, const MarkedText&, ArgumentReader&);

std::optional<std::string_view> optional_text(ArgumentReader& arguments, std::string_view name) {
  const Value* value = arguments.next(name);
  if (value == nullptr || value->is_none()) return std::nullopt;
  if (!value->is_string()) fault("'", name, "' must be a string, not ", value->type_name());
  return value->bytes();
}

const MarkedText& required_text(ArgumentReader& arguments, std::string_view name) {
  const MarkedText* text = arguments.text(name);
  if (text == nullptr) fault("the argument '", name, "' is missing");
  return *text;
}

Value texts(Interpreter& interpreter, std::vector<MarkedText> parts, bool tuple = false) {
  std::vector<Value> values;
  for (MarkedText& part : parts) values.push_back(interpreter.heap().text(std::move(part)));
  return interpreter.heap().list(std::move(values), tuple);
}

template <bool kRight>
Value split_method(Interpreter& interpreter, const MarkedText& self, ArgumentReader& arguments) {
  const std::optional<std::string_view> by = optional_text(arguments, "sep");
  const int64_t most = arguments.int_or("maxsplit", -1);
  if (by && by->empty()) fault("empty separator");
  const size_t pieces = by ? static_cast<size_t>(count(self.bytes(), *by)) : self.size() / 2;
  interpreter.heap().expect_memory(pieces * kPieceBytes);
  return texts(interpreter, kRight ? split_right(self, by, most) : split(self, by, most));
}

template <bool kLeft, bool kRight>
Value strip_method(Interpreter& interpreter, const MarkedText& self, ArgumentReader& arguments) {
  return interpreter.heap().text(strip(self, optional_text(arguments, "chars"), kLeft, kRight));
}

template <MarkedText (*kMap)(const MarkedText&)>
Value mapped_method(Interpreter& interpreter, const MarkedText& self, ArgumentReader&) {
  interpreter.heap().expect_text(4 * self.size());
  return interpreter.heap().text(kMap(self));
}

// A prefix or suffix, or a tuple of them.
template <bool kStart>
Value edge_method(Interpreter& interpreter, const MarkedText& self, ArgumentReader& arguments) {
  const Value& edges = arguments.required(kStart ? "prefix" : "suffix");
  const auto fits = [&](const Value& edge) {
    interpreter.heap().step();
    if (!edge.is_string()) fault("the edge of a string is a string, not ", edge.type_name());
    return kStart ? self.bytes().starts_with(edge.bytes()) : self.bytes().ends_with(edge.bytes());
  };
  if (!edges.is_list()) return Value(fits(edges));
  return Value(std::any_of(edges.items().begin(), edges.items().end(), fits));
}

template <bool kStart>
Value remove_method(Interpreter& interpreter, const MarkedText& self, ArgumentReader& arguments) {
  const std::string& edge = required_text(arguments, "edge").bytes();
  const bool has = kStart ? self.bytes().starts_with(edge) : self.bytes().ends_with(edge);
  if (!has) return interpreter.heap().text(self);
  const size_t rest = self.size() - edge.size();
  return interpreter.heap().text(self.substr(kStart ? edge.size() : 0, rest));
}

template <bool kRight>
int64_t find_in(const MarkedText& self, ArgumentReader& arguments) {
  const std::string& part = required_text(arguments, "sub").bytes();
  const int64_t size = length(self.bytes());
  const auto fit = [&](int64_t at) {
    return std::clamp(at < 0 ? at + size : at, int64_t{0}, size);
  };
  const int64_t given = arguments.int_or("start", 0);
  if (given > size) return -1;
  const size_t begin = offset_of(self.bytes(), fit(given));
  const size_t end = offset_of(self.bytes(), fit(arguments.int_or("end", size)));
  if (begin > end) return -1;
  const std::string_view range = std::string_view(self.bytes()).substr(begin, end - begin);
  const size_t hit = kRight ? range.rfind(part) : range.find(part);
  if (hit == std::string_view::npos) return -1;
  return length(std::string_view(self.bytes()).substr(0, begin + hit));
}

template <bool kRight, bool kMustBe>
Value find_method(Interpreter&, const MarkedText& self, ArgumentReader& arguments) {
  const int64_t at = find_in<kRight>(self, arguments);
  if (kMustBe && at < 0) fault("substring not found");
  return Value(at);
}

Value count_method(Interpreter&, const MarkedText& self, ArgumentReader& arguments) {
  return Value(count(self.bytes(), required_text(arguments, "sub").bytes()));
}

Value replace_method(Interpreter& interpreter, const MarkedText& self, ArgumentReader& arguments) {
  const MarkedText from = required_text(arguments, "old");
  const MarkedText to = required_text(arguments, "new");
  const int64_t most = arguments.int_or("count", -1);
  const auto hits = static_cast<size_t>(count(self.bytes(), from.bytes()));
  const size_t used = most < 0 ? hits : std::min(hits, static_cast<size_t>(most));
  interpreter.heap().expect_text(self.size() + used * to.size());
  if (!from.empty()) return interpreter.heap().text(replace(self, from.bytes(), to, most));
  MarkedText out;  // between all characters
  int64_t left = most;
  const size_t pieces = self.size();
  interpreter.heap().expect_memory(pieces * kPieceBytes);
  for (const MarkedText& c : characters(self)) {
    if (left != 0) out.append(to);
    --left;
    out.append(c);
  }
  if (left != 0) out.append(to);
  return interpreter.heap().text(std::move(out));
}

MarkedText joined(Interpreter& interpreter, const MarkedText& between, const Value& parts) {
  MarkedText out;
  bool first = true;
  const std::shared_ptr<const ListBox> walked = interpreter.iterate(parts);
  for (const Value& part : walked->items) {
    if (!part.is_string()) fault("join: expected strings, got ", part.type_name());
    interpreter.heap().expect_text(out.size() + between.size() + part.bytes().size());
    if (!first) out.append(between);
    out.append(part.text());
    first = false;
  }
  return out;
}

Value join_method(Interpreter& interpreter, const MarkedText& self, ArgumentReader& arguments) {
  return interpreter.heap().text(joined(interpreter, self, arguments.required("iterable")));
}

Value lines_method(Interpreter& interpreter, const MarkedText& self, ArgumentReader& arguments) {
  interpreter.heap().expect_memory(self.size() / 2 * kPieceBytes);
  return texts(interpreter, split_lines(self, arguments.bool_or("keepends", false)));
}

template <bool kRight>
Value partition_method(Interpreter& interpreter, const MarkedText& self,
                       ArgumentReader& arguments) {
  const MarkedText& by = required_text(arguments, "sep");
  if (by.empty()) fault("empty separator");
  const size_t hit = kRight ? self.bytes().rfind(by.bytes()) : self.bytes().find(by.bytes());
  std::vector<MarkedText> parts;
  if (hit == std::string::npos) {
    parts = {self, {}, {}};
    if (kRight) std::swap(parts.front(), parts.back());
  } else {
    parts = {self.substr(0, hit), by, self.substr(hit + by.size())};
  }
  return texts(interpreter, std::move(parts), true);
}

enum class Align { kLeft, kRight, kCenter };

template <Align kAlign>
Value pad_method(Interpreter& interpreter, const MarkedText& self, ArgumentReader& arguments) {
  const int64_t width = arguments.int_or("width", 0);
  const MarkedText* given = arguments.text("fillchar");
  const MarkedText fill = given == nullptr ? MarkedText(" ") : *given;
  if (length(fill.bytes()) != 1) fault("the fill character must be exactly one character long");
  const int64_t missing = width - length(self.bytes());
  if (missing <= 0) return interpreter.heap().text(self);
  interpreter.heap().expect_text(self.size() + static_cast<size_t>(missing) * fill.size());
  // Python puts the odd one to the left where the width is odd too.
  const int64_t before = kAlign == Align::kLeft    ? 0
                         : kAlign == Align::kRight ? missing
                                                   : missing / 2 + (missing & width & 1);
  MarkedText out;
  for (int64_t i = 0; i < before; ++i) out.append(fill);
  out.append(self);
  for (int64_t i = before; i < missing; ++i) out.append(fill);
  return interpreter.heap().text(std::move(out));
}

Value zfill_method(Interpreter& interpreter, const MarkedText& self, ArgumentReader& arguments) {
  const int64_t missing = arguments.int_or("width", 0) - length(self.bytes());
  if (missing <= 0) return interpreter.heap().text(self);
  interpreter.heap().expect_text(self.size() + static_cast<size_t>(missing));
  const bool has_sign = self.bytes().starts_with('-') || self.bytes().starts_with('+');
  MarkedText out = self.substr(0, has_sign ? 1 : 0);
  out.append(std::string(static_cast<size_t>(missing), '0'));
  out.append(self.substr(has_sign ? 1 : 0));
  return interpreter.heap().text(std::move(out));
}

bool ascii_digit(char32_t c) { return c >= '0' && c <= '9'; }

bool is_space(char32_t c) {
  std::string bytes;
  append_utf8(bytes, c);
  return strip(MarkedText(bytes), std::nullopt, true, false).empty();
}

template <bool (*kHolds)(char32_t)>
Value all_method(Interpreter&, const MarkedText& self, ArgumentReader&) {
  for (size_t at = 0; at < self.size();) {
    if (!kHolds(next_code_point(self.bytes(), at))) return Value(false);
  }
  return Value(!self.empty());
}

bool letter_or_digit(char32_t c) { return is_letter(c) || ascii_digit(c); }
bool ascii(char32_t c) { return c < 0x80; }

template <char32_t (*kMap)(char32_t)>
Value case_method(Interpreter&, const MarkedText& self, ArgumentReader&) {
  bool any = false;
  for (size_t at = 0; at < self.size();) {
    const char32_t c = next_code_point(self.bytes(), at);
    if (kMap(c) != c) return Value(false);
    any |= is_cased(c);
  }
  return Value(any);
}

Value is_title_method(Interpreter&, const MarkedText& self, ArgumentReader&) {
  bool any = false, inside = false;
  for (size_t at = 0; at < self.size();) {
    const char32_t c = next_code_point(self.bytes(), at);
    const bool cased = is_cased(c);
    if (cased && (inside ? to_lower(c) != c : to_upper(c) != c)) return Value(false);
    any |= cased;
    inside = cased;
  }
  return Value(any);
}

// "{}", "{0}", "{name}" and doubled braces; neither attributes nor format specifications.
Value format_fields(Interpreter& interpreter, const MarkedText& self, const CallValues& values) {
  MarkedText out;
  size_t next = 0;
  const std::string& bytes = self.bytes();
  for (size_t at = 0; at < bytes.size(); ++at) {
    const char c = bytes[at];
    if (c != '{' && c != '}') {
      out.append(self.substr(at, 1));
      continue;
    }
    if (at + 1 < bytes.size() && bytes[at + 1] == c) {
      out.append(self.substr(at++, 1));
      continue;
    }
    const size_t end = c == '{' ? bytes.find('}', at) : std::string::npos;
    if (end == std::string::npos) fault("format: a brace stands alone");
    const std::string field = bytes.substr(at + 1, end - at - 1);
    at = end;
    const Value* value = nullptr;
    if (field.find_first_not_of("0123456789") == std::string::npos && field.size() < 6) {
      const size_t index = field.empty() ? next++ : static_cast<size_t>(std::stoul(field));
      if (index < values.positional.size()) value = &values.positional[index];
    }
    for (const auto& [name, named] : values.named) {
      if (name == field) value = &named;
    }
    if (value == nullptr) fault("format: there is no argument for '{", field, "}'");
    const MarkedText text = interpreter.text_of(*value);
    interpreter.heap().expect_text(out.size() + text.size());
    out.append(text);
  }
  return interpreter.heap().text(std::move(out));
}

Value format_method(Interpreter&, const MarkedText&, ArgumentReader&) { return Value(); }

const std::map<std::string_view, StringMethod>& string_methods() {
  static const std::map<std::string_view, StringMethod> methods = {
      {"capitalize", mapped_method<capitalize>},
      {"casefold", mapped_method<lower>},
      {"center", pad_method<Align::kCenter>},
      {"count", count_method},
      {"endswith", edge_method<false>},
      {"find", find_method<false, false>},
      {"format", format_method},
      {"index", find_method<false, true>},
      {"isalnum", all_method<letter_or_digit>},
      {"isalpha", all_method<is_letter>},
      {"isascii", all_method<ascii>},
      {"isdecimal", all_method<ascii_digit>},
      {"isdigit", all_method<ascii_digit>},
      {"islower", case_method<to_lower>},
      {"isnumeric", all_method<ascii_digit>},
      {"isspace", all_method<is_space>},
      {"istitle", is_title_method},
      {"isupper", case_method<to_upper>},
      {"join", join_method},
      {"ljust", pad_method<Align::kLeft>},
      {"lower", mapped_method<lower>},
      {"lstrip", strip_method<true, false>},
      {"partition", partition_method<false>},
      {"removeprefix", remove_method<true>},
      {"removesuffix", remove_method<false>},
      {"replace", replace_method},
      {"rfind", find_method<true, false>},
      {"rindex", find_method<true, true>},
      {"rjust", pad_method<Align::kRight>},
      {"rpartition", partition_method<true>},
      {"rsplit", split_method<true>},
      {"rstrip", strip_method<false, true>},
      {"split", split_method<false>},
      {"splitlines", lines_method},
      {"startswith", edge_method<true>},
      {"strip", strip_method<true, true>},
      {"swapcase", mapped_method<swap_case>},
      {"title", mapped_method<title_method>},
      {"upper", mapped_method<upper>},
      {"zfill", zfill_method},
  };
  return methods;
}

constexpr std::array<std::string_view, 5> kDictMethods = {"get", "items", "keys", "values", "copy"};
constexpr std::array<std::string_view, 3> kListMethods = {"count", "index", "copy"};

template <size_t kCount>
bool listed(const std::array<std::string_view, kCount>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Value dict_method(Interpreter& interpreter, const Value& object, std::string_view name,
                  ArgumentReader& arguments) {
  Heap& heap = interpreter.heap();
  const DictBox& dict = *mapping_of(object);
  heap.step(static_cast<int64_t>(dict.entries.size()) / 8);
  if (name == "copy") return object;
  if (name == "get") {
    const Value& key = arguments.required("key");
    for (const DictBox::Entry& entry : dict.entries) {
      if (interpreter.equals(entry.first, key)) return entry.second;
    }
    return arguments.or_else("default", Value());
  }
  heap.expect_memory(dict.entries.size() * kPieceBytes);
  std::vector<Value> out;
  for (const DictBox::Entry& entry : dict.entries) {
    if (name == "items") {
      out.push_back(heap.list({entry.first, entry.second}, true));
    } else {
      out.push_back(name == "keys" ? entry.first : entry.second);
    }
  }
  return heap.list(std::move(out));
}

Value list_method(Interpreter& interpreter, const Value& object, std::string_view name,
                  ArgumentReader& arguments) {
  if (name == "copy") return object;
  const Value& wanted = arguments.required("value");
  const std::vector<Value>& items = object.items();
  interpreter.heap().step(static_cast<int64_t>(items.size()) / 8);
  const auto fits = [&](const Value& item) { return interpreter.equals(item, wanted); };
  if (name == "count")
    return Value(static_cast<int64_t>(std::count_if(items.begin(), items.end(), fits)));
  const auto at = std::find_if(items.begin(), items.end(), fits);
  if (at == items.end()) fault("the value is not in the list");
  return Value(static_cast<int64_t>(at - items.begin()));
}

}  // namespace

bool has_method(const Value& object, std::string_view name) {
  if (object.is_string() && string_methods().contains(name)) return true;
  if (mapping_of(object) != nullptr) return listed(kDictMethods, name);
  return object.is_list() && listed(kListMethods, name);
}

Value call_method(Interpreter& interpreter, const Value& object, std::string_view name,
                  const CallValues& values) {
  ArgumentReader arguments(name, values);
  if (object.is_string() && string_methods().contains(name)) {
    const MarkedText& self = object.text();
    interpreter.heap().step(static_cast<int64_t>(self.size()) / 32);
    if (name == "format") return format_fields(interpreter, self, values);
    const Value result = string_methods().at(name)(interpreter, self, arguments);
    arguments.done();
    return result;
  }
  const Value result = object.is_list() ? list_method(interpreter, object, name, arguments)
                                        : dict_method(interpreter, object, name, arguments);
  arguments.done();
  return result;
}

}  // namespace fathom::jinja
