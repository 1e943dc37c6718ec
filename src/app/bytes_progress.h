// Says on standard error how far the reading or writing of a large model folder is.
//
// Threads: one.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>

#include "app/command_line.h"
#include "base/clock.h"

namespace fathom {

enum class ProgressStyle {
  kNone,
  kRedrawn,  // one line, drawn again and again, and gone in the end
  kLines,    // a line for each tenth
  kJson,     // the same as JSON
};
// --progress never, auto, always or json; auto is quiet about small folders and redraws on a
// terminal.
struct ProgressFlags {
  std::string progress = "auto";
};
void add_progress_flag(Command& command, ProgressFlags& flags);
ProgressStyle progress_style(const ProgressFlags& flags);

class BytesProgressLine {
 public:
  static constexpr uint64_t kLargeBytes = 1'000'000'000;  // of a folder that takes a while

  // `doing`: "loading", "checking", "writing".
  BytesProgressLine(std::ostream& out, ProgressStyle style, uint64_t least_bytes, const char* doing,
                    std::string folder, std::function<double()> now = now_seconds);
  ~BytesProgressLine();
  BytesProgressLine(const BytesProgressLine&) = delete;
  BytesProgressLine& operator=(const BytesProgressLine&) = delete;

  void show(uint64_t bytes_done, uint64_t total_bytes);

 private:
  void redraw(uint64_t bytes_done, uint64_t total_bytes);
  void write_line(uint64_t bytes_done, uint64_t total_bytes);

  std::ostream& out_;
  ProgressStyle style_;
  uint64_t least_bytes_;
  std::string doing_, folder_;  // "loading"
  std::function<double()> now_;
  double start_, shown_ = 0;
  uint64_t tenths_ = 0;
  bool drawn_ = false;
};

}  // namespace fathom
