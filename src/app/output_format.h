// The form of results: --output text|json|jsonl of the commands that give text.
#pragma once

#include <string>

#include "app/command_line.h"

namespace fathom {

enum class OutputFormat { kText, kJson, kJsonLines };

void add_output_flag(Command& command, std::string& value);
OutputFormat parse_output_format(const std::string& text);  // throws Error(kUsage)

}  // namespace fathom
