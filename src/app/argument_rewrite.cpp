#include "app/argument_rewrite.h"

#include <algorithm>

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

bool has_literal_mark(const std::string& text) {
  return !text.empty() && text.front() == kLiteralMark;
}

std::string without_literal_mark(std::string text) {
  if (has_literal_mark(text)) text.erase(0, 1);
  return text;
}

}  // namespace fathom
