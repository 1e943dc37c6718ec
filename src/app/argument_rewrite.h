// Arguments as users of other programs type them, in the spelling that the flag library knows.
//
// Threads: pure functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "io/json.h"

namespace fathom {

// Several letters behind one dash, which the library would take for several flags: "-sys".
struct FlagSpelling {
  std::string typed, canonical;
};

// A flag of another program that changes how it runs, not what it says: taken, with a note that it
// does nothing here.
struct ForeignFlag {
  enum class Value { kNone, kOne, kPerhaps };  // perhaps: on, off or auto
  std::vector<std::string> names;
  Value value = Value::kNone;
  std::string why;
};

struct ArgumentRules {
  std::vector<FlagSpelling> spellings;
  std::vector<ForeignFlag> foreign;
  // Flags with a value that go before all else: a model by its flag.
  std::vector<std::string> first = {};
  bool settings_file = false;  // --config names one
};

struct RewrittenArguments {
  std::vector<std::string> arguments;
  std::vector<std::string> notes;
  std::optional<std::string> settings_path;
};

// What stands behind "--" is text, even where it looks like a flag; it travels with a mark in
// front.
RewrittenArguments rewrite_arguments(const std::vector<std::string>& arguments,
                                     const ArgumentRules& rules);

// A flag that a file of settings may give: "--ctx-size", there ctx_size or ctx-size.
struct SettableFlag {
  std::string name;
  bool takes_value = true;
  bool given = false;  // already, on the command line or in the environment
};
// The settings of a file as arguments, without what was given. Error(kUsage) names the key that is
// none.
std::vector<std::string> arguments_of_settings(const Json& settings, const std::string& path,
                                               const std::vector<SettableFlag>& flags);

bool has_literal_mark(const std::string& text);
std::string without_literal_mark(std::string text);

}  // namespace fathom
