// How a long command shows what it does: JSON lines where asked for, a redrawn block on a terminal,
// else plain lines.
#pragma once

#include <csignal>
#include <utility>

#include "app/terminal.h"
#include "base/stop.h"
#include "train/run_events.h"

namespace fathom {

inline ProgressStyle progress_style(bool json) {
  if (json) return ProgressStyle::kJson;
  return errors_are_terminal() ? ProgressStyle::kBlock : ProgressStyle::kLines;
}

// `events` until nobody reads standard output any more: then the work is asked to stop, as Ctrl-C
// asks it, and the exit status is that of a program which the signal ended.
inline RunEvents while_output_is_read(RunEvents events) {
  return [events = std::move(events)](const Json& event) {
    events(event);
    if (!stop_requested() && !output_is_open()) request_stop(SIGPIPE);
  };
}

}  // namespace fathom
