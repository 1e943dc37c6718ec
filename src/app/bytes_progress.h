// Says on standard error how far the reading of a large model folder is; small ones come without a
// word.
//
// Threads: one.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>

#include "base/clock.h"
#include "checkpoint/model_folder.h"

namespace fathom {

// A line that is drawn again and again, and is gone in the end; or, where there is no terminal, one
// plain line at the start.
class LoadProgressLine {
 public:
  static constexpr uint64_t kLeastBytes = 1'000'000'000;  // of a folder that takes a while

  LoadProgressLine(std::ostream& out, bool redraws, std::string folder,
                   std::function<double()> now = now_seconds);
  ~LoadProgressLine();
  LoadProgressLine(const LoadProgressLine&) = delete;
  LoadProgressLine& operator=(const LoadProgressLine&) = delete;

  void show(uint64_t bytes_read, uint64_t total_bytes);

 private:
  std::ostream& out_;
  bool redraws_;
  std::string folder_;
  std::function<double()> now_;
  double start_, shown_ = 0;
  bool drawn_ = false;
};

// load_model() with that line on standard error.
LoadedModel load_with_progress(const std::string& folder, Allocator& memory);

}  // namespace fathom
