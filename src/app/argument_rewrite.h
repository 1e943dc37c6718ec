// Arguments as users of other programs type them, in the spelling that the flag library knows.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <vector>

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
  std::vector<std::string>
      first;  // flags with a value that go before all else: a model by its flag
};

struct RewrittenArguments {
  std::vector<std::string> arguments;
  std::vector<std::string> notes;
};

// What stands behind "--" is text, even where it looks like a flag; it travels with a mark in
// front.
RewrittenArguments rewrite_arguments(const std::vector<std::string>& arguments,
                                     const ArgumentRules& rules);
bool has_literal_mark(const std::string& text);
std::string without_literal_mark(std::string text);

}  // namespace fathom
