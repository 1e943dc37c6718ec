#include "app/thinking_flags.h"

#include "base/error.h"

namespace fathom {

void add_thinking_flags(Command& command, ThinkingFlags& flags) {
  command.flag("--think", flags.think, "begin answers with <think>")
      .flag("--no-think,--nothink", flags.no_think, "begin answers without thinking")
      .option("--reasoning", flags.reasoning,
              "on and off are --think and --no-think; auto leaves it to the model")
      .option("--reasoning-budget", flags.budget,
              "0 is --no-think, -1 sets no limit; other limits are not known here")
      .flag("--show-thinking", flags.show, "thinking to standard error where there is no terminal")
      .flag("--hide-thinking", flags.hide, "on a terminal, only how far the thinking is");
}

std::optional<bool> thinking_wish(const ThinkingFlags& flags) {
  if (flags.reasoning != "on" && flags.reasoning != "off" && flags.reasoning != "auto") {
    fail(ErrorCode::kUsage, "--reasoning is '", flags.reasoning, "'; expected on, off or auto");
  }
  if (flags.budget != 0 && flags.budget != -1) {
    fail(
        ErrorCode::kUsage, "--reasoning-budget is ", flags.budget,
        "; expected 0 for no thinking, or -1 for no limit. -n limits thinking and answer together");
  }
  const bool on = flags.think || flags.reasoning == "on";
  const bool off = flags.no_think || flags.reasoning == "off" || flags.budget == 0;
  if (on && off)
    fail(ErrorCode::kUsage,
         "--think (--reasoning on) contradicts --no-think (--reasoning off, "
         "--reasoning-budget 0); give one");
  if (on) return true;
  if (off) return false;
  return std::nullopt;
}

}  // namespace fathom
