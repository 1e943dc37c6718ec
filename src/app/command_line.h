// Commands and flags. The one place that knows the flag library is command_line.cpp.
//
// Conventions (docs/architecture.md): --help everywhere, with examples; an unknown flag or command
// answers with the nearest names and exit status 2; several spellings of a flag may be accepted,
// the first is canonical. A flag that is not given is looked for in the environment, as
// FATHOM_NAME; a few also under the name that llama.cpp has for it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/argument_rewrite.h"

namespace fathom {

class Command {
 public:
  struct Impl;
  explicit Command(std::unique_ptr<Impl> impl);
  ~Command();
  Command(Command&&) noexcept;

  // `names`: "--system,-sys,-s" (comma separated). The value's default is shown in --help.
  Command& option(const std::string& names, std::string& value, const std::string& help);
  Command& option(const std::string& names, int64_t& value, const std::string& help);
  Command& option(const std::string& names, uint64_t& value, const std::string& help);
  Command& option(const std::string& names, double& value, const std::string& help);
  Command& option(const std::string& names, std::vector<std::string>& value,
                  const std::string& help);  // repeatable
  Command& flag(const std::string& names, bool& value, const std::string& help);
  Command& positional(const std::string& name, std::string& value, const std::string& help,
                      bool required = true);
  Command& positional(const std::string& name, std::vector<std::string>& values,
                      const std::string& help);
  // The positional "folder" that names the model, which other programs take as -m.
  Command& model_folder(std::string& value, const std::string& help);
  // --config FILE: flags in a TOML file, for those that are given neither here nor in the
  // environment.
  Command& settings_file();
  // A flag of other programs that is taken and does nothing, with a note.
  Command& foreign(ForeignFlag flag);

  Command& example(const std::string& line);  // shown at the end of --help
  // Was it given on the command line? `name` is the canonical spelling.
  bool given(const std::string& name) const;
  void on_run(std::function<int()> run);

 private:
  friend class CommandLine;
  std::unique_ptr<Impl> impl_;
};

class CommandLine {
 public:
  CommandLine(const std::string& name, const std::string& summary, const std::string& version);
  ~CommandLine();

  Command& add(const std::string& name, const std::string& summary);
  // Parses, runs the chosen command and returns its exit status; usage errors are printed and
  // give 2. Errors of the command, which name flags by their canonical spelling, leave with the
  // one that was typed.
  int run(int argc, const char* const* argv);

 private:
  std::vector<std::string> rewritten(const std::vector<std::string>& arguments) const;

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fathom
