#include "app/argument_rewrite.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace fathom {
namespace {

constexpr char kLiteralMark = '\x01';

// "--name" of "--name=value".
std::string name_of(const std::string& argument) { return argument.substr(0, argument.find('=')); }

bool has_value_inside(const std::string& argument) {
  return argument.find('=') != std::string::npos;
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

const ForeignFlag* foreign_flag(const ArgumentRules& rules, const std::string& name) {
  for (const ForeignFlag& flag : rules.foreign)
    if (contains(flag.names, name)) return &flag;
  return nullptr;
}

std::string respelled(const std::string& argument, const ArgumentRules& rules) {
  const std::string name = name_of(argument);
  for (const FlagSpelling& spelling : rules.spellings)
    if (name == spelling.typed) return spelling.canonical + argument.substr(name.size());
  return argument;
}

class Rewriter {
 public:
  Rewriter(const std::vector<std::string>& arguments, const ArgumentRules& rules)
      : given_(arguments), rules_(rules) {}

  RewrittenArguments run() {
    while (at_ < given_.size()) {
      if (given_[at_] == "--") {
        take_literals();
      } else if (const ForeignFlag* flag = foreign_flag(rules_, name_of(given_[at_]))) {
        drop(*flag);
      } else if (rules_.settings_file && name_of(given_[at_]) == "--config") {
        take_settings_path();
      } else {
        take(respelled(given_[at_++], rules_));
      }
    }
    out_.arguments.insert(out_.arguments.begin(), first_.begin(), first_.end());
    return std::move(out_);
  }

 private:
  void take_literals() {
    for (++at_; at_ < given_.size(); ++at_) out_.arguments.push_back(kLiteralMark + given_[at_]);
  }

  void take(const std::string& argument) {
    const bool goes_first = contains(rules_.first, name_of(argument));
    std::vector<std::string>& list = goes_first ? first_ : out_.arguments;
    list.push_back(argument);
    if (goes_first && !has_value_inside(argument) && at_ < given_.size())
      list.push_back(given_[at_++]);
  }

  // Without a value it stays, for the parser to say so.
  void take_settings_path() {
    const std::string& argument = given_[at_++];
    if (has_value_inside(argument)) {
      out_.settings_path = argument.substr(argument.find('=') + 1);
    } else if (at_ < given_.size()) {
      out_.settings_path = given_[at_++];
    } else {
      out_.arguments.push_back(argument);
    }
  }

  void drop(const ForeignFlag& flag) {
    const std::string& argument = given_[at_++];
    out_.notes.push_back(concat(name_of(argument), " has no effect here: ", flag.why));
    if (has_value_inside(argument) || at_ >= given_.size()) return;
    const std::string& next = given_[at_];
    const bool is_choice = next == "on" || next == "off" || next == "auto";
    if (flag.value == ForeignFlag::Value::kOne ||
        (flag.value == ForeignFlag::Value::kPerhaps && is_choice))
      ++at_;
  }

  const std::vector<std::string>& given_;
  const ArgumentRules& rules_;
  size_t at_ = 0;
  std::vector<std::string> first_;
  RewrittenArguments out_;
};

}  // namespace

RewrittenArguments rewrite_arguments(const std::vector<std::string>& arguments,
                                     const ArgumentRules& rules) {
  return Rewriter(arguments, rules).run();
}

namespace {

std::string flag_of_key(std::string key) {
  std::replace(key.begin(), key.end(), '_', '-');
  return "--" + key;
}

void append_setting(const SettableFlag& flag, const Json& value, const std::string& where,
                    std::vector<std::string>& arguments) {
  if (!flag.takes_value) {
    if (value.as_bool(where)) arguments.push_back(flag.name);
  } else if (value.is_array()) {
    for (const Json& item : value.items()) append_setting(flag, item, where, arguments);
  } else if (value.is_object() || value.is_bool()) {
    fail(ErrorCode::kUsage, where, " is ", value.dump(), "; expected a text or a number");
  } else {
    arguments.push_back(
        concat(flag.name, "=", value.is_string() ? value.as_string() : value.dump()));
  }
}

}  // namespace

std::vector<std::string> arguments_of_settings(const Json& settings, const std::string& path,
                                               const std::vector<SettableFlag>& flags) {
  std::vector<std::string> arguments, names;
  for (const SettableFlag& flag : flags) names.push_back(flag.name);
  for (const auto& [key, value] : settings.members()) {
    const auto flag = std::find_if(flags.begin(), flags.end(), [&](const SettableFlag& f) {
      return f.name == flag_of_key(key);
    });
    if (flag == flags.end()) {
      fail(ErrorCode::kUsage, path, ": '", key, "' is no flag of this command",
           did_you_mean(flag_of_key(key), names));
    }
    if (!flag->given) append_setting(*flag, value, concat(path, ": ", key), arguments);
  }
  return arguments;
}

bool has_literal_mark(const std::string& text) {
  return !text.empty() && text.front() == kLiteralMark;
}

std::string without_literal_mark(std::string text) {
  if (has_literal_mark(text)) text.erase(0, 1);
  return text;
}

}  // namespace fathom
