#include "app/output_format.h"

#include "base/error.h"

namespace fathom {

void add_output_flag(Command& command, std::string& value) {
  command.option("--output,-o", value,
                 "text, json (an object for each answer) or jsonl (the pieces too)");
}

OutputFormat parse_output_format(const std::string& text) {
  if (text == "text") return OutputFormat::kText;
  if (text == "json") return OutputFormat::kJson;
  if (text == "jsonl") return OutputFormat::kJsonLines;
  fail(ErrorCode::kUsage, "--output is '", text, "'; expected text, json or jsonl");
}

}  // namespace fathom
