// How a long command shows what it does: JSON lines where asked for, a redrawn block on a terminal,
// else plain lines.
#pragma once

#include "app/terminal.h"
#include "train/run_events.h"

namespace fathom {

inline ProgressStyle progress_style(bool json) {
  if (json) return ProgressStyle::kJson;
  return errors_are_terminal() ? ProgressStyle::kBlock : ProgressStyle::kLines;
}

}  // namespace fathom
