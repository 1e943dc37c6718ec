// A settings struct written once: its fields serve run files, flags, --help and the copy in each
// checkpoint.
//
// A struct takes part by `visit_fields(config, field)`, which calls field(name, value, help) for
// each field. Field types: std::string, std::vector<std::string>, int64_t, uint64_t, double, bool.
#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "io/json.h"

namespace fathom {

// "save_every" -> "--save-every"
std::string flag_name(std::string name);

inline Json field_to_json(const std::string& value) { return value; }
inline Json field_to_json(const std::vector<std::string>& value) { return Json(value); }
inline Json field_to_json(int64_t value) { return value; }
inline Json field_to_json(uint64_t value) { return static_cast<int64_t>(value); }
inline Json field_to_json(double value) { return value; }
inline Json field_to_json(bool value) { return value; }

void field_from_json(const Json& json, const std::string& name, std::string& value);
void field_from_json(const Json& json, const std::string& name,
                     std::vector<std::string>& value);  // one string is a list of one
void field_from_json(const Json& json, const std::string& name, int64_t& value);
void field_from_json(const Json& json, const std::string& name, uint64_t& value);
void field_from_json(const Json& json, const std::string& name, double& value);
void field_from_json(const Json& json, const std::string& name, bool& value);

// What a flag's text means for a field; throws Error(kUsage) naming flag, expected and got.
void field_from_text(const std::string& text, const std::string& name, std::string& value);
void field_from_text(const std::string& text, const std::string& name, int64_t& value);
void field_from_text(const std::string& text, const std::string& name, uint64_t& value);
void field_from_text(const std::string& text, const std::string& name, double& value);
void field_from_text(const std::string& text, const std::string& name, bool& value);

template <class Config>
Json fields_to_json(Config config) {
  Json json = Json::object();
  visit_fields(config, [&](const char* name, const auto& value, const char*) {
    json[name] = field_to_json(value);
  });
  return json;
}

template <class Config>
std::vector<std::string> field_names(Config config) {
  std::vector<std::string> names;
  visit_fields(config,
               [&](const char* name, const auto&, const char*) { names.emplace_back(name); });
  return names;
}

// Sets the fields that `json` has; an unknown key is Error(kUsage) with the nearest names.
template <class Config>
void fields_from_json(Config& config, const Json& json, const std::string& origin) {
  const std::vector<std::string> names = field_names(config);
  for (const auto& [key, value] : json.members(origin)) {
    bool known = false;
    for (const std::string& name : names) known = known || name == key;
    if (!known)
      fail(ErrorCode::kUsage, "unknown key '", key, "' in ", origin, did_you_mean(key, names));
  }
  visit_fields(config, [&](const char* name, auto& value, const char*) {
    if (const Json* found = json.find(name))
      field_from_json(*found, concat(origin, ": ", name), value);
  });
}

}  // namespace fathom
