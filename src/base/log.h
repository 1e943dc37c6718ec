// Lines for the person who runs the program: information and warnings, on standard error.
//
// The sink and the level are the process's own state. Threads: any; lines never mix.
// A sink must not log itself.
#pragma once

#include <functional>
#include <string>

#include "base/text.h"

namespace fathom {

enum class LogLevel { kInfo, kWarning, kSilent };

using LogSink = std::function<void(LogLevel level, const std::string& line)>;

// Only lines at or above `level` reach the sink; kInfo at the start. Returns the level before.
LogLevel set_log_level(LogLevel level);
// Where lines go from now on, for tests and for a live view that must redraw around them; an empty
// sink stands for standard error ("warning: " before a warning). Returns the sink before, empty for
// standard error.
LogSink set_log_sink(LogSink sink);

void log_line(LogLevel level, const std::string& line);

template <class... Parts>
void log_info(const Parts&... parts) {
  log_line(LogLevel::kInfo, concat(parts...));
}

template <class... Parts>
void log_warning(const Parts&... parts) {
  log_line(LogLevel::kWarning, concat(parts...));
}

}  // namespace fathom
