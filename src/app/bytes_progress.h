// Says on standard error how far the reading or writing of a large model folder is; small ones come
// without a word.
//
// Threads: one.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>

#include "base/clock.h"

namespace fathom {

// A line that is drawn again and again, and is gone in the end; or, where there is no terminal, one
// plain line at the start.
class BytesProgressLine {
 public:
  static constexpr uint64_t kLeastBytes = 1'000'000'000;  // of a folder that takes a while

  BytesProgressLine(std::ostream& out, bool redraws, const char* doing, std::string folder,
                    std::function<double()> now = now_seconds);
  ~BytesProgressLine();
  BytesProgressLine(const BytesProgressLine&) = delete;
  BytesProgressLine& operator=(const BytesProgressLine&) = delete;

  void show(uint64_t bytes_done, uint64_t total_bytes);

 private:
  std::ostream& out_;
  bool redraws_;
  const char* doing_;  // "loading"
  std::string folder_;
  std::function<double()> now_;
  double start_, shown_ = 0;
  bool drawn_ = false;
};

}  // namespace fathom
