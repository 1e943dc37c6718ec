#include "app/bench_timing.h"

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <fstream>
#include <sstream>

#include "base/clock.h"
#include "base/error.h"
#include "base/team.h"

namespace fathom {
namespace {

constexpr double kShortestSample =
    100e-6;                            // seconds; the clock costs a few hundredths of a microsecond
constexpr double kLongestTiming = 20;  // seconds; after them fewer samples are enough

std::vector<int> allowed_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

double own_cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double machine_busy_seconds() {
  std::ifstream file("/proc/stat");
  std::stringstream text;
  text << file.rdbuf();
  return busy_seconds(text.str(), static_cast<double>(sysconf(_SC_CLK_TCK)));
}

double seconds_of(const std::function<void()>& work, int64_t repeats) {
  const Timer timer;
  for (int64_t i = 0; i < repeats; ++i) work();
  return timer.seconds();
}

}  // namespace

double busy_seconds(const std::string& proc_stat, double ticks_per_second) {
  std::istringstream line(proc_stat.substr(0, proc_stat.find('\n')));
  std::string name;
  line >> name;
  if (name != "cpu") return -1;
  // user nice system idle iowait irq softirq steal (guest times are part of user)
  std::vector<double> ticks;
  for (double value; ticks.size() < 8 && line >> value;) ticks.push_back(value);
  if (ticks.size() < 4) return -1;
  double busy = 0;
  for (size_t i = 0; i < ticks.size(); ++i) {
    if (i != 3 && i != 4) busy += ticks[i];
  }
  return busy / ticks_per_second;
}

ForeignLoad::ForeignLoad()
    : busy_(machine_busy_seconds()), own_(own_cpu_seconds()), start_(now_seconds()) {}

double ForeignLoad::cores() const {
  const double busy = machine_busy_seconds();
  if (busy < 0 || busy_ < 0) return -1;
  const double elapsed = std::max(now_seconds() - start_, 1e-9);
  return std::max(0.0, (busy - busy_ - (own_cpu_seconds() - own_)) / elapsed);
}

bool bind_threads(int threads) {
  const std::vector<int> cores = allowed_cores();
  if (cores.size() < static_cast<size_t>(threads)) return false;
  return bind_team(cores);
}

double quantile(std::vector<double> samples, double q) {
  FATHOM_CHECK(!samples.empty(), "quantile: no samples");
  std::sort(samples.begin(), samples.end());
  const double place = q * static_cast<double>(samples.size() - 1);
  const auto low = static_cast<size_t>(place);
  const size_t high = std::min(low + 1, samples.size() - 1);
  return samples[low] + (place - static_cast<double>(low)) * (samples[high] - samples[low]);
}

Timing time_work(const std::function<void()>& work, const TimingBudget& budget) {
  work();  // first touch of memory, packing, waking the threads
  const double once = std::max(seconds_of(work, 1), 1e-9);
  const auto repeats = static_cast<int64_t>(std::ceil(std::max(1.0, kShortestSample / once)));
  std::vector<double> samples;
  const ForeignLoad foreign;
  const Timer total;
  for (;;) {
    samples.push_back(1e6 * seconds_of(work, repeats) / static_cast<double>(repeats));
    const bool enough =
        total.seconds() >= budget.seconds && static_cast<int>(samples.size()) >= budget.samples;
    if (enough || total.seconds() >= kLongestTiming) break;
  }
  return {quantile(samples, 0.5), quantile(samples, 0.95), foreign.cores()};
}

}  // namespace fathom
