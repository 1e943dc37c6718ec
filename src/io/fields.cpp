#include "io/fields.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace fathom {
namespace {

template <class T>
void parse_number(const std::string& text, const std::string& name, const char* expected,
                  T& value) {
  T parsed{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
  if (error != std::errc() || end != text.data() + text.size()) {
    fail(ErrorCode::kUsage, flag_name(name), " is '", text, "'; expected ", expected);
  }
  value = parsed;
}

// Wrong types in a run file are the user's mistake, whatever code the value type gives.
template <class Fn>
auto usage(const std::string& name, Fn&& fn) {
  try {
    return fn();
  } catch (const Error& error) {
    fail(ErrorCode::kUsage, name, ": ", error.what());
  }
}

}  // namespace

std::string flag_name(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return "--" + name;
}

void field_from_json(const Json& json, const std::string& name, std::string& value) {
  value = usage(name, [&] { return json.as_string(); });
}
void field_from_json(const Json& json, const std::string& name, std::vector<std::string>& value) {
  value.clear();
  if (json.is_string()) {
    value.push_back(json.as_string());
    return;
  }
  usage(name, [&] {
    for (const Json& item : json.items()) value.push_back(item.as_string());
  });
}
void field_from_json(const Json& json, const std::string& name, int64_t& value) {
  value = usage(name, [&] { return json.as_int(); });
}
void field_from_json(const Json& json, const std::string& name, uint64_t& value) {
  const int64_t number = usage(name, [&] { return json.as_int(); });
  if (number < 0) fail(ErrorCode::kUsage, name, " is ", number, "; expected 0 or more");
  value = static_cast<uint64_t>(number);
}
void field_from_json(const Json& json, const std::string& name, double& value) {
  value = usage(name, [&] { return json.as_double(); });
}
void field_from_json(const Json& json, const std::string& name, bool& value) {
  value = usage(name, [&] { return json.as_bool(); });
}

void field_from_text(const std::string& text, const std::string&, std::string& value) {
  value = text;
}
void field_from_text(const std::string& text, const std::string& name, int64_t& value) {
  parse_number(text, name, "a whole number", value);
}
void field_from_text(const std::string& text, const std::string& name, uint64_t& value) {
  parse_number(text, name, "a whole number, 0 or more", value);
}
void field_from_text(const std::string& text, const std::string& name, double& value) {
  parse_number(text, name, "a number", value);
  if (!std::isfinite(value))
    fail(ErrorCode::kUsage, flag_name(name), " is '", text, "'; expected a finite number");
}
void field_from_text(const std::string& text, const std::string& name, bool& value) {
  if (text != "true" && text != "false")
    fail(ErrorCode::kUsage, flag_name(name), " is '", text, "'; expected true or false");
  value = text == "true";
}

}  // namespace fathom
