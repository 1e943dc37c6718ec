// Flags made from the fields of a configuration (visit_fields), and the run file that holds the
// same fields.
//
// Flags win over the run file, which wins over the defaults.  Lifetime: FieldFlags outlive the
// command they were added to.
#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include "app/command_line.h"
#include "io/fields.h"
#include "io/files.h"
#include "io/toml.h"

namespace fathom {

template <class Config>
struct FieldFlags {
  Config values;  // at first the defaults that --help shows
  std::string run_file;

  // The run file's fields; an empty object where there is none.
  Json read_run_file() const {
    if (run_file.empty()) return Json::object();
    return parse_toml(read_file(run_file), run_file, ErrorCode::kUsage);
  }
};

template <class Config>
void add_field_flags(Command& command, FieldFlags<Config>& flags) {
  command.positional("run_file", flags.run_file,
                     "TOML file with the same names as the flags (save_every = 100)", false);
  visit_fields(flags.values, [&](const char* name, auto& value, const char* help) {
    if constexpr (std::is_same_v<std::remove_reference_t<decltype(value)>, bool>) {
      command.flag(flag_name(name), value, help);
    } else {
      command.option(flag_name(name), value, help);
    }
  });
}

// Sets the fields of the run file, then those whose flags were given; the others stay.
template <class Config>
void set_given_fields(const Command& command, const FieldFlags<Config>& flags, Config& config) {
  fields_from_json(config, flags.read_run_file(), flags.run_file);
  const Json all = fields_to_json(flags.values);
  Json given = Json::object();
  for (const auto& [name, value] : all.members()) {
    if (command.given(flag_name(name))) given[name] = value;
  }
  fields_from_json(config, given, "the command line");
}

}  // namespace fathom
