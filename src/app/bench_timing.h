// Timing for bench and kernels: medians of repeated runs, threads bound to cores, and how much of
// the machine others used.
//
// Threads: the computing one.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace fathom {

// Binds each compute thread to a core of its own, of those this process may use. False
// where there are fewer cores than threads, or the system refuses.
bool bind_threads(int threads);

struct TimingBudget {
  double seconds = 0.4;  // of measuring, at least
  int samples = 7;       // at least
};

struct Timing {
  double median_us = 0, p95_us = 0;
  double foreign_load =
      -1;  // cores that other processes used meanwhile; negative where the system does not tell
};

// Short work is repeated within a sample, so that the clock's own cost does not show.
Timing time_work(const std::function<void()>& work, const TimingBudget& budget = {});

// Value at share `q` (0 … 1) of the sorted samples. Needs at least one.
double quantile(std::vector<double> samples, double q);

// Processor time of the whole machine that this process did not use, from construction to cores().
class ForeignLoad {
 public:
  ForeignLoad();
  double cores() const;  // mean since construction; negative where /proc/stat cannot be read

 private:
  double busy_, own_, start_;
};

// Busy processor seconds of all cores since boot in the text of /proc/stat; negative where it is
// not that.
double busy_seconds(const std::string& proc_stat, double ticks_per_second);

}  // namespace fathom
