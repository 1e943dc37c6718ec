#include "app/command_line.h"

#include <CLI/CLI.hpp>
#include <cctype>
#include <charconv>
#include <iostream>
#include <limits>
#include <list>

#include "base/error.h"

namespace fathom {

namespace {

// The canonical long name, with which flags are named in help and errors; of a positional, its
// name.
std::string canonical_name(const std::string& names) {
  for (size_t at = 0; at != std::string::npos && at < names.size();) {
    const size_t end = names.find(',', at);
    const std::string name = names.substr(at, end == std::string::npos ? end : end - at);
    if (name.starts_with("--")) return name;
    at = end == std::string::npos ? end : end + 1;
  }
  return "";
}

// "--save-every" -> "FATHOM_SAVE_EVERY"
std::string environment_name(const std::string& names) {
  std::string result = "FATHOM_";
  for (const char c : canonical_name(names).substr(2)) {
    result += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return result;
}

CLI::Option* with_environment(CLI::Option* option, const std::string& names) {
  return option->envname(environment_name(names));
}

// Whole numbers are signed 64-bit everywhere. The parser alone would quietly take the largest one
// for anything beyond, and a negative one for a huge one where none can be.
CLI::Validator at_least(int64_t low) {
  const auto check = [low](const std::string& text) -> std::string {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool is_number = error == std::errc() || error == std::errc::result_out_of_range;
    if (!is_number || (error == std::errc() && value >= low)) return "";
    constexpr int64_t kLargest = std::numeric_limits<int64_t>::max();
    return concat("'", text, "' is out of range; expected ", low == 0 ? "0 or more, and " : "",
                  "at most ", kLargest);
  };
  return {check, ""};
}

// Help shows one long name of each flag and its short one; the other spellings are accepted in
// silence.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() { column_width(34); }

  std::string make_option_name(const CLI::Option* option, bool positional) const override {
    if (positional) return option->get_name(true);
    std::string names;
    for (const std::string& name : option->get_snames()) names += "-" + name + ", ";
    return option->get_lnames().empty() ? option->get_name()
                                        : names + "--" + option->get_lnames().front();
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    if (option->get_type_size() == 0) return "";
    std::string type = option->get_type_name();
    if (type == "INT" || type == "UINT" || type == "FLOAT") type = "N";
    const std::string value = option->get_default_str();
    const bool shown = !value.empty() && value.size() < 24;
    return " " + type + (shown ? " = " + value : "") +
           (option->get_required() ? " (required)" : "");
  }
};

}  // namespace

struct Command::Impl {
  CLI::App* app = nullptr;
  std::function<int()> run;
  std::vector<std::string> examples;
};

Command::Command(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Command::~Command() = default;
Command::Command(Command&&) noexcept = default;

Command& Command::option(const std::string& names, std::string& value, const std::string& help) {
  with_environment(impl_->app->add_option(names, value, help), names)->capture_default_str();
  return *this;
}
Command& Command::option(const std::string& names, int64_t& value, const std::string& help) {
  with_environment(impl_->app->add_option(names, value, help), names)
      ->capture_default_str()
      ->check(at_least(std::numeric_limits<int64_t>::min()));
  return *this;
}
Command& Command::option(const std::string& names, uint64_t& value, const std::string& help) {
  with_environment(impl_->app->add_option(names, value, help), names)
      ->capture_default_str()
      ->check(at_least(0));
  return *this;
}
Command& Command::option(const std::string& names, double& value, const std::string& help) {
  with_environment(impl_->app->add_option(names, value, help), names)->capture_default_str();
  return *this;
}
Command& Command::option(const std::string& names, std::vector<std::string>& value,
                         const std::string& help) {
  with_environment(impl_->app->add_option(names, value, help), names)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  return *this;
}
Command& Command::flag(const std::string& names, bool& value, const std::string& help) {
  with_environment(impl_->app->add_flag(names, value, help), names);
  return *this;
}
Command& Command::positional(const std::string& name, std::string& value, const std::string& help,
                             bool required) {
  CLI::Option* option = impl_->app->add_option(name, value, help);
  if (required) option->required();
  return *this;
}
Command& Command::positional(const std::string& name, std::vector<std::string>& values,
                             const std::string& help) {
  impl_->app->add_option(name, values, help);
  return *this;
}

Command& Command::example(const std::string& line) {
  impl_->examples.push_back(line);
  std::string footer = "Examples:";
  for (const std::string& example : impl_->examples) footer += "\n  " + example;
  impl_->app->footer(footer);
  return *this;
}

bool Command::given(const std::string& name) const {
  const CLI::Option* option = impl_->app->get_option_no_throw(name);
  return option != nullptr && option->count() > 0;
}

void Command::on_run(std::function<int()> run) { impl_->run = std::move(run); }

struct CommandLine::Impl {
  CLI::App app;
  std::list<Command> commands;
};

CommandLine::CommandLine(const std::string& name, const std::string& summary,
                         const std::string& version)
    : impl_(std::make_unique<Impl>()) {
  impl_->app.name(name);
  impl_->app.description(summary);
  impl_->app.set_version_flag("--version", name + " " + version);
  impl_->app.require_subcommand(0, 1);
  impl_->app.footer(
      "\nfathom COMMAND --help tells more about each command. A flag --some-name that is not given "
      "is also looked for in the"
      "\nenvironment, as FATHOM_SOME_NAME.");
  impl_->app.formatter(std::make_shared<HelpFormatter>());
}

CommandLine::~CommandLine() = default;

Command& CommandLine::add(const std::string& name, const std::string& summary) {
  auto impl = std::make_unique<Command::Impl>();
  impl->app = impl_->app.add_subcommand(name, summary);
  impl_->commands.emplace_back(std::move(impl));
  return impl_->commands.back();
}

namespace {

std::vector<std::string> flag_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

int usage_error(const std::string& message, const std::string& command) {
  std::cerr << "fathom: error: " << message << "\n  see: fathom " << command
            << (command.empty() ? "" : " ") << "--help\n";
  return static_cast<int>(ErrorCode::kUsage);
}

// "--seed: 'many' is no number", for what CLI11 calls "Could not convert: --seed = many".
std::string parse_fault(const CLI::ParseError& error) {
  std::string text = error.what();
  const std::string opening = "Could not convert: ";
  const size_t equals = text.find(" = ");
  if (!text.starts_with(opening) || equals == std::string::npos) return text;
  return concat(text.substr(opening.size(), equals - opening.size()), ": '",
                text.substr(equals + 3), "' is not a number");
}

// The first word or flag that nothing took, with the nearest names.
std::string unknown_argument(const CLI::App& app, const CLI::App* chosen) {
  const std::vector<std::string> left = app.remaining(true);
  if (left.empty()) return "";
  const std::string name = left.front().substr(0, left.front().find('='));
  if (chosen == nullptr) {
    std::vector<std::string> commands;
    for (const CLI::App* command : app.get_subcommands({})) commands.push_back(command->get_name());
    const std::string near = did_you_mean(name, commands);
    if (!near.empty()) return concat("unknown command '", name, "'", near);
    std::string all;
    for (const std::string& command : commands) all += (all.empty() ? "" : ", ") + command;
    return concat("unknown command '", name, "'; expected one of ", all);
  }
  if (!name.starts_with("-")) return concat("unexpected argument '", name, "'");
  return concat("unknown flag ", name, did_you_mean(name, flag_names(*chosen)));
}

}  // namespace

int CommandLine::run(int argc, const char* const* argv) {
  CLI::App& app = impl_->app;
  app.allow_extras();  // so that unknown names are answered here, with the nearest ones
  for (Command& command : impl_->commands) command.impl_->app->allow_extras();
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return 0;
  } catch (const CLI::CallForVersion& version) {
    std::cout << version.what() << "\n";
    return 0;
  } catch (const CLI::ParseError& error) {
    const std::vector<CLI::App*> chosen = app.get_subcommands();
    const std::string unknown = unknown_argument(app, chosen.empty() ? nullptr : chosen.front());
    return usage_error(unknown.empty() ? parse_fault(error) : unknown,
                       chosen.empty() ? "" : chosen.front()->get_name());
  }
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  const std::string unknown = unknown_argument(app, chosen.empty() ? nullptr : chosen.front());
  if (!unknown.empty())
    return usage_error(unknown, chosen.empty() ? "" : chosen.front()->get_name());
  if (chosen.empty()) {
    std::cout << app.help();
    return 0;
  }
  for (Command& command : impl_->commands) {
    if (command.impl_->app == chosen.front()) return command.impl_->run();
  }
  return 0;
}

}  // namespace fathom
