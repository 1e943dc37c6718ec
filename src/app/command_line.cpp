#include "app/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <list>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "io/files.h"
#include "io/toml.h"

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

// What llama.cpp's users have in their environment, and that means the same here.
constexpr std::pair<std::string_view, const char*> kTheirNames[] = {
    {"--threads", "LLAMA_ARG_THREADS"},     {"--ctx-size", "LLAMA_ARG_CTX_SIZE"},
    {"--predict", "LLAMA_ARG_N_PREDICT"},   {"--chat-template", "LLAMA_ARG_CHAT_TEMPLATE"},
    {"--reasoning", "LLAMA_ARG_REASONING"}, {"--reasoning-budget", "LLAMA_ARG_THINK_BUDGET"},
    {"--temp", "LLAMA_ARG_TEMP"},           {"--top-k", "LLAMA_ARG_TOP_K"},
    {"--top-p", "LLAMA_ARG_TOP_P"},         {"--min-p", "LLAMA_ARG_MIN_P"},
};

// "--save-every" -> "FATHOM_SAVE_EVERY"; or the name that llama.cpp has, where only that is set.
std::string environment_name(const std::string& names) {
  const std::string canonical = canonical_name(names);
  std::string result = "FATHOM_";
  for (const char c : canonical.substr(2)) {
    result += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  if (std::getenv(result.c_str()) != nullptr) return result;
  for (const auto& [name, theirs] : kTheirNames)
    if (name == canonical && std::getenv(theirs) != nullptr) return theirs;
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
    return concat("'", text, "'; expected ", low == 0 ? "0 or more, and " : "", "at most ",
                  kLargest);
  };
  return {check, ""};
}

CLI::Validator literal_text() {
  const auto strip = [](std::string& text) {
    text = without_literal_mark(std::move(text));
    return std::string();
  };
  return {strip, ""};
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
  // A positional that has a flag, too, is described where it stands.
  std::string make_option(const CLI::Option* option, bool positional) const override {
    if (positional || !option->get_positional())
      return CLI::Formatter::make_option(option, positional);
    std::stringstream line;
    CLI::detail::format_help(line, make_option_name(option, false) + " TEXT",
                             concat("the ", option->get_name(true), ", by its flag"),
                             column_width_);
    return line.str();
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
  ArgumentRules rules;
  std::string settings_path;
  std::function<int()> run;
  std::vector<std::string> examples;

  // `names` as the parser takes them: without those of several letters behind one dash.
  std::string parsed_names(const std::string& names);
};

std::string Command::Impl::parsed_names(const std::string& names) {
  std::string parsed;
  for (size_t at = 0; at <= names.size();) {
    const size_t end = std::min(names.find(',', at), names.size());
    const std::string name = names.substr(at, end - at);
    at = end + 1;
    if (name.starts_with("-") && !name.starts_with("--") && name.size() > 2) {
      rules.spellings.push_back({name, canonical_name(names)});
    } else {
      parsed += (parsed.empty() ? "" : ",") + name;
    }
  }
  return parsed;
}

Command::Command(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Command::~Command() = default;
Command::Command(Command&&) noexcept = default;

Command& Command::option(const std::string& names, std::string& value, const std::string& help) {
  with_environment(impl_->app->add_option(impl_->parsed_names(names), value, help), names)
      ->capture_default_str();
  return *this;
}
Command& Command::option(const std::string& names, int64_t& value, const std::string& help) {
  with_environment(impl_->app->add_option(impl_->parsed_names(names), value, help), names)
      ->capture_default_str()
      ->check(at_least(std::numeric_limits<int64_t>::min()));
  return *this;
}
Command& Command::option(const std::string& names, uint64_t& value, const std::string& help) {
  with_environment(impl_->app->add_option(impl_->parsed_names(names), value, help), names)
      ->capture_default_str()
      ->check(at_least(0));
  return *this;
}
Command& Command::option(const std::string& names, double& value, const std::string& help) {
  with_environment(impl_->app->add_option(impl_->parsed_names(names), value, help), names)
      ->capture_default_str();
  return *this;
}
Command& Command::option(const std::string& names, std::vector<std::string>& value,
                         const std::string& help) {
  with_environment(impl_->app->add_option(impl_->parsed_names(names), value, help), names)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  return *this;
}
Command& Command::flag(const std::string& names, bool& value, const std::string& help) {
  with_environment(impl_->app->add_flag(impl_->parsed_names(names), value, help), names);
  return *this;
}
Command& Command::positional(const std::string& name, std::string& value, const std::string& help,
                             bool required) {
  CLI::Option* option = impl_->app->add_option(name, value, help)->transform(literal_text());
  if (required) option->required();
  return *this;
}
Command& Command::positional(const std::string& name, std::vector<std::string>& values,
                             const std::string& help) {
  impl_->app->add_option(name, values, help)->transform(literal_text());
  return *this;
}

Command& Command::model_folder(std::string& value, const std::string& help) {
  impl_->app->add_option("folder,--model,-m", value, help)->transform(literal_text())->required();
  impl_->rules.first = {"--model", "-m"};
  return *this;
}
Command& Command::settings_file() {
  impl_->rules.settings_file = true;
  return option("--config", impl_->settings_path, "TOML file with flags: ctx_size = 512");
}
Command& Command::foreign(ForeignFlag flag) {
  impl_->rules.foreign.push_back(std::move(flag));
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

// The name by which messages know an option.
std::string canonical_name(const CLI::Option& option) {
  if (option.get_positional()) return option.get_name(true);
  if (!option.get_lnames().empty()) return "--" + option.get_lnames().front();
  return option.get_snames().empty() ? option.get_name(true) : "-" + option.get_snames().front();
}

// How the user spelled it, or nothing where it stands in no argument.
std::optional<std::string> spelling_of(const CLI::Option& option,
                                       const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    const std::string name = argument.substr(0, argument.find('='));
    for (const std::string& long_name : option.get_lnames())
      if (name == "--" + long_name) return name;
    for (const std::string& letter : option.get_snames())
      if (!name.starts_with("--") && name.starts_with("-" + letter)) return "-" + letter;
  }
  return std::nullopt;
}

bool is_typed(const CLI::Option& option, const std::vector<std::string>& arguments) {
  return spelling_of(option, arguments).has_value();
}

// How the user named the option: "-n" for "--predict", FATHOM_PREDICT where the environment holds
// it.
std::string typed_name(const CLI::Option& option, const std::vector<std::string>& arguments) {
  if (const std::optional<std::string> spelling = spelling_of(option, arguments)) return *spelling;
  return option.count() > 0 && !option.get_envname().empty() ? option.get_envname()
                                                             : canonical_name(option);
}

bool is_part_of_name(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
}

std::string with_name_replaced(std::string text, const std::string& name, const std::string& by) {
  for (size_t at = text.find(name); at != std::string::npos; at = text.find(name, at)) {
    const size_t end = at + name.size();
    const bool whole = (at == 0 || !is_part_of_name(text[at - 1])) &&
                       (end == text.size() || !is_part_of_name(text[end]));
    if (whole) text.replace(at, name.size(), by);
    at += whole ? by.size() : name.size();
  }
  return text;
}

// `message` with each flag named as the user did.
std::string in_typed_names(std::string message, const CLI::App& command,
                           const std::vector<std::string>& arguments) {
  for (const CLI::Option* option : command.get_options()) {
    const std::string canonical = canonical_name(*option);
    const std::string typed = typed_name(*option, arguments);
    if (canonical.starts_with("--") && typed != canonical)
      message = with_name_replaced(std::move(message), canonical, typed);
  }
  return message;
}

std::string given_twice(const CLI::Option& option) {
  std::string values;
  for (const std::string& value : option.results())
    values += concat(values.empty() ? " ('" : ", '", value, "'");
  return concat(canonical_name(option), " is given ", option.count(), " times", values,
                "); expected once. Leave out all but one");
}

std::string wrong_number(const CLI::Option& option, const std::string& value) {
  const bool whole = option.get_type_name() != "FLOAT";
  return concat(canonical_name(option), " is '", value, "'; expected a ", whole ? "whole " : "",
                "number");
}

// What the parser's exception says, in our words.
std::string parse_fault(const CLI::ParseError& error, const CLI::App& command) {
  const std::string text = error.what();
  const std::string conversion = "Could not convert: ";
  for (const CLI::Option* option : command.get_options()) {
    if (text == option->get_name() + " is required")
      return concat("the argument ", canonical_name(*option),
                    " is missing: ", option->get_description());
    const std::string name = canonical_name(*option);
    if (text.starts_with(conversion + name + " = "))
      return wrong_number(*option, text.substr(conversion.size() + name.size() + 3));
    if (!text.starts_with(name + ": ")) continue;
    if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) == nullptr)
      return concat(name, " is ", text.substr(name.size() + 2));
    if (option->count() > 1) return given_twice(*option);
    return concat(name, " has no value; expected one after it (", option->get_description(), ")");
  }
  return text;
}

// "folder and prompt"
std::string positional_names(const CLI::App& command) {
  std::string names;
  for (const CLI::Option* option : command.get_options())
    if (option->get_positional())
      names += concat(names.empty() ? "" : " and ", option->get_name(true));
  return names.empty() ? "flags alone" : names;
}

// The first word or flag that nothing took, with the nearest names.
std::string unknown_argument(const CLI::App& app, const CLI::App* chosen) {
  const std::vector<std::string> left = app.remaining(true);
  if (left.empty()) return "";
  const std::string first = without_literal_mark(left.front());
  const std::string name = first.substr(0, first.find('='));
  if (chosen == nullptr) {
    std::vector<std::string> commands;
    for (const CLI::App* command : app.get_subcommands({})) commands.push_back(command->get_name());
    const std::string near = did_you_mean(name, commands);
    if (!near.empty()) return concat("unknown command '", name, "'", near);
    std::string all;
    for (const std::string& command : commands) all += (all.empty() ? "" : ", ") + command;
    return concat("unknown command '", name, "'; expected one of ", all);
  }
  if (!name.starts_with("-") || has_literal_mark(left.front())) {
    return concat("unexpected argument '", name, "'; ", chosen->get_name(), " takes ",
                  positional_names(*chosen), ". A text with spaces needs quotes");
  }
  if (first.find(' ') != std::string::npos) {  // hardly a flag
    return concat("unknown flag '", first, "'; a text that begins with - goes behind --: fathom ",
                  chosen->get_name(), " … -- '", first, "'");
  }
  return concat("unknown flag ", name, did_you_mean(name, flag_names(*chosen)));
}

}  // namespace

namespace {

// The flags that a file of settings may give, and which of them are given already.
std::vector<SettableFlag> settable_flags(const CLI::App& app,
                                         const std::vector<std::string>& arguments) {
  std::vector<SettableFlag> flags;
  for (const CLI::Option* option : app.get_options()) {
    const bool in_environment =
        !option->get_envname().empty() && std::getenv(option->get_envname().c_str()) != nullptr;
    const bool given = in_environment || is_typed(*option, arguments);
    for (const std::string& name : option->get_lnames()) {
      if (name != "help" && name != "config")
        flags.push_back({"--" + name, option->get_items_expected_max() != 0, given});
    }
  }
  return flags;
}

}  // namespace

// The arguments as the parser takes them; notes about some of them go to standard error.
std::vector<std::string> CommandLine::rewritten(const std::vector<std::string>& arguments) const {
  const auto named = [&](const Command& command) {
    return !arguments.empty() && command.impl_->app->get_name() == arguments.front();
  };
  const auto chosen = std::find_if(impl_->commands.begin(), impl_->commands.end(), named);
  if (chosen == impl_->commands.end()) return rewrite_arguments(arguments, {}).arguments;
  RewrittenArguments result =
      rewrite_arguments({arguments.begin() + 1, arguments.end()}, chosen->impl_->rules);
  for (const std::string& note : result.notes) std::cerr << "fathom: " << note << "\n";
  const char* from_environment = std::getenv("FATHOM_CONFIG");
  if (!result.settings_path && chosen->impl_->rules.settings_file && from_environment != nullptr)
    result.settings_path = from_environment;
  if (result.settings_path) {
    const std::string& path = *result.settings_path;
    const std::vector<std::string> settings =
        arguments_of_settings(parse_toml(read_file(path), path, ErrorCode::kUsage), path,
                              settable_flags(*chosen->impl_->app, result.arguments));
    result.arguments.insert(result.arguments.begin(), settings.begin(), settings.end());
  }
  result.arguments.insert(result.arguments.begin(), arguments.front());
  return std::move(result.arguments);
}

int CommandLine::run(int argc, const char* const* argv) {
  CLI::App& app = impl_->app;
  app.allow_extras();  // so that unknown names are answered here, with the nearest ones
  for (Command& command : impl_->commands) command.impl_->app->allow_extras();
  std::string fault;
  const std::vector<std::string> arguments = rewritten({argv + std::min(argc, 1), argv + argc});
  try {
    app.parse(
        std::vector<std::string>(arguments.rbegin(), arguments.rend()));  // the last one first
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return 0;
  } catch (const CLI::CallForVersion& version) {
    std::cout << version.what() << "\n";
    return 0;
  } catch (const CLI::ParseError& error) {
    const std::vector<CLI::App*> chosen = app.get_subcommands();
    fault = parse_fault(error, chosen.empty() ? app : *chosen.front());
  }
  const std::vector<CLI::App*> parsed = app.get_subcommands();
  const CLI::App* chosen = parsed.empty() ? nullptr : parsed.front();
  const std::string unknown = unknown_argument(app, chosen);
  if (!unknown.empty()) fault = unknown;
  if (!fault.empty()) {
    return chosen == nullptr
               ? usage_error(fault, "")
               : usage_error(in_typed_names(fault, *chosen, arguments), chosen->get_name());
  }
  if (chosen == nullptr) {
    std::cout << app.help();
    return 0;
  }
  for (Command& command : impl_->commands) {
    if (command.impl_->app != chosen) continue;
    try {
      return command.impl_->run();
    } catch (const Error& error) {
      throw Error(error.code(), in_typed_names(error.what(), *chosen, arguments));
    }
  }
  return 0;
}

}  // namespace fathom
