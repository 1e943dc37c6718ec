// What the redrawn block of the demo shows: the chapter and how far it is, its curves so far, its
// experts, two answers.
//
// Threads: one.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "io/json.h"

namespace fathom {

class DemoScreen {
 public:
  // Takes a "chapter", "step" or "sample" event; other events change nothing.
  void take(const Json& event);
  // Lines for the block; none before the first step of a chapter.
  std::vector<std::string> lines() const;

 private:
  struct Curve {
    std::string label, unit;
    int digits = 3;
    std::vector<double> values;
  };

  void begin(const std::string& title);
  void take_step(const Json& event);
  void follow(const Json& event, const char* key, const std::string& label, const std::string& unit,
              int digits);
  std::string progress_line() const;
  std::string speed_line() const;
  std::string experts_line() const;

  std::string title_;
  Json last_;                  // the newest step
  std::vector<Curve> curves_;  // of the chapter, in the order in which they are shown
  std::vector<std::string> samples_;
  Timer timer_;  // since the first step seen here
  int64_t first_step_ = 0;
};

}  // namespace fathom
