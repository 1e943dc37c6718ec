// The flags about thinking that run and chat share, with the names that users of other programs
// know.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "app/command_line.h"
#include "app/reply_printer.h"

namespace fathom {

struct ThinkingFlags {
  bool think = false, no_think = false, show = false, hide = false;
  std::string reasoning = "auto";
  int64_t budget = -1;

  ThinkingStyle style() const { return choose_thinking_style(show, hide); }
};

void add_thinking_flags(Command& command, ThinkingFlags& flags);

// What they ask for; nothing leaves it to the model. Error(kUsage) where they contradict each
// other.
std::optional<bool> thinking_wish(const ThinkingFlags& flags);

}  // namespace fathom
