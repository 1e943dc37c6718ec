#include "base/log.h"

#include <cstdio>
#include <mutex>
#include <utility>

namespace fathom {
namespace {

struct Log {
  std::mutex mutex;
  LogLevel level = LogLevel::kInfo;
  LogSink sink;
};

Log& process_log() {
  static Log log;
  return log;
}

}  // namespace

LogLevel set_log_level(LogLevel level) {
  Log& log = process_log();
  const std::lock_guard lock(log.mutex);
  return std::exchange(log.level, level);
}

LogSink set_log_sink(LogSink sink) {
  Log& log = process_log();
  const std::lock_guard lock(log.mutex);
  return std::exchange(log.sink, std::move(sink));
}

void log_line(LogLevel level, const std::string& line) {
  Log& log = process_log();
  const std::lock_guard lock(log.mutex);
  if (level < log.level || log.level == LogLevel::kSilent) return;
  if (log.sink) {
    log.sink(level, line);
  } else {
    std::fprintf(stderr, "%s%s\n", level == LogLevel::kWarning ? "warning: " : "", line.c_str());
  }
}

}  // namespace fathom
