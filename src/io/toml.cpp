#include "io/toml.h"

#include <toml++/toml.h>

#include <algorithm>
#include <cmath>

namespace fathom {
namespace {

template <class T>
std::string date_text(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

constexpr size_t kMaxTomlDepth =
    100;  // as for JSON; dotted keys nest without a limit of the parser's

Json to_json(const toml::node& node, size_t depth);

// toml++ sorts keys by name; where each was written tells the order of the file.
Json table_to_json(const toml::table& table, size_t depth) {
  struct Place {
    toml::source_position at;
    std::string_view key;
    const toml::node* node;
  };
  std::vector<Place> places;
  for (const auto& [key, node] : table) places.push_back({key.source().begin, key.str(), &node});
  std::stable_sort(places.begin(), places.end(),
                   [](const Place& a, const Place& b) { return a.at < b.at; });
  Json result = Json::object();
  for (const Place& place : places) result[place.key] = to_json(*place.node, depth + 1);
  return result;
}

Json to_json(const toml::node& node, size_t depth) {
  if (depth > kMaxTomlDepth) {
    fail(ErrorCode::kRuntime, "nested more than ", kMaxTomlDepth, " levels deep at line ",
         node.source().begin.line);
  }
  if (const auto* table = node.as_table()) return table_to_json(*table, depth);
  if (const auto* array = node.as_array()) {
    Json result = Json::array();
    for (const toml::node& item : *array) result.push_back(to_json(item, depth + 1));
    return result;
  }
  if (const auto* value = node.as_string()) return value->get();
  if (const auto* value = node.as_integer()) return value->get();
  if (const auto* value = node.as_floating_point()) return value->get();
  if (const auto* value = node.as_boolean()) return value->get();
  if (const auto* value = node.as_date()) return date_text(value->get());
  if (const auto* value = node.as_time()) return date_text(value->get());
  if (const auto* value = node.as_date_time()) return date_text(value->get());
  fail(ErrorCode::kInternal, "toml: a node of unknown type at line ", node.source().begin.line);
}

// A dotted key of many thousand parts would overflow the stack when toml++ frees its tables, so it
// must not reach the parser. Dots in quotes are text; nothing else has hundreds on one line.
void refuse_endless_keys(std::string_view text, std::string_view origin, ErrorCode code) {
  constexpr size_t kMostDots = 500;
  size_t dots = 0;
  int64_t line = 1;
  char quote = 0;
  for (const char c : text) {
    if (c == '\n') {
      dots = 0;
      quote = 0;
      ++line;
    } else if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '.' && ++dots > kMostDots) {
      fail(code, origin, ":", line, ": more than ", kMostDots, " dots outside of quotes on a line");
    }
  }
}

// ---- writing ----------------------------------------------------------------------------------

bool is_bare_key(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

// JSON strings are TOML basic strings but for DEL, which TOML wants escaped.
std::string toml_string(const std::string& text) {
  std::string result;
  for (const char c : Json(text).dump()) {
    if (c == '\x7f') {
      result += "\\u007f";
    } else {
      result += c;
    }
  }
  return result;
}

std::string written_key(const std::string& key) {
  return is_bare_key(key) ? key : toml_string(key);
}

std::string written_double(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return shortest_number(value);
}

std::string inline_value(const Json& value, const std::string& where) {
  switch (value.kind()) {
    case Json::Kind::kBool:
      return value.as_bool() ? "true" : "false";
    case Json::Kind::kInt:
      return std::to_string(value.as_int());
    case Json::Kind::kDouble:
      return written_double(value.as_double());
    case Json::Kind::kString:
      return toml_string(value.as_string());
    case Json::Kind::kArray: {
      std::string text = "[";
      for (size_t i = 0; i < value.size(); ++i) {
        text += (i == 0 ? "" : ", ") + inline_value(value.at(i), concat(where, "[", i, "]"));
      }
      return text + "]";
    }
    case Json::Kind::kObject: {
      std::string text = "{";
      for (const auto& [key, member] : value.members()) {
        text += (text.size() == 1 ? " " : ", ") + written_key(key) + " = " +
                inline_value(member, where + "." + key);
      }
      return text + (value.empty() ? "}" : " }");
    }
    case Json::Kind::kNull:
      break;
  }
  fail(ErrorCode::kInternal, "toml: ", where, " is null, which TOML cannot hold; leave it out");
}

bool is_array_of_tables(const Json& value) {
  return value.is_array() && !value.empty() &&
         std::all_of(value.items().begin(), value.items().end(),
                     [](const Json& item) { return item.is_object(); });
}

void write_table(const Json& table, const std::string& path, std::string& text) {
  for (const auto& [key, value] : table.members()) {
    if (value.is_object() || is_array_of_tables(value)) continue;
    const std::string where = path.empty() ? key : path + "." + key;
    text += written_key(key) + " = " + inline_value(value, where) + "\n";
  }
  for (const auto& [key, value] : table.members()) {
    const std::string inner = (path.empty() ? "" : path + ".") + written_key(key);
    if (value.is_object()) {
      text += (text.empty() ? "[" : "\n[") + inner + "]\n";
      write_table(value, inner, text);
    } else if (is_array_of_tables(value)) {
      for (const Json& item : value.items()) {
        text += (text.empty() ? "[[" : "\n[[") + inner + "]]\n";
        write_table(item, inner, text);
      }
    }
  }
}

}  // namespace

Json parse_toml(std::string_view text, std::string_view origin, ErrorCode code) {
  refuse_endless_keys(text, origin, code);
  try {
    return table_to_json(toml::parse(text, origin), 0);
  } catch (const toml::parse_error& error) {
    const toml::source_position at = error.source().begin;
    fail(code, origin, ":", at.line, ":", at.column, ": ", error.description());
  } catch (const Error& error) {
    fail(code, origin, ": ", error.what());
  }
}

std::string dump_toml(const Json& table) {
  FATHOM_CHECK(table.is_object(), "toml: only an object can be written as a file");
  std::string text;
  write_table(table, "", text);
  return text;
}

}  // namespace fathom
