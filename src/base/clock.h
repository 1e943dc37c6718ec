// Seconds since some fixed moment, for durations.
#pragma once

#include <chrono>

namespace fathom {

inline double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

class Timer {
 public:
  double seconds() const { return now_seconds() - start_; }

 private:
  double start_ = now_seconds();
};

}  // namespace fathom
