#include "base/team.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "base/pause.h"

namespace fathom {
namespace {

// The number of the loop in the upper bits, how many of its tasks are unclaimed in the lower ones:
// claiming is one compare-and-swap. While a task is unclaimed its loop cannot end, so what a helper
// read about the loop before a successful swap is true; with none left there is nothing to claim,
// whatever the next loop's fields already say.
constexpr int kTaskBits = 40;
constexpr uint64_t kTaskMask = (uint64_t{1} << kTaskBits) - 1;
constexpr int kSpins =
    4000;  // about 100 microseconds: longer than the gaps between the loops of a step
constexpr int kImpatientSpins = 2000;

bool bind_thread(pthread_t thread, int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  return pthread_setaffinity_np(thread, sizeof set, &set) == 0;
}

class Team {
 public:
  Team() { resize(available_processors()); }
  ~Team() { stop_helpers(); }

  int size() const { return size_.load(std::memory_order_relaxed); }

  void resize(int members) {
    stop_helpers();
    size_ = std::max(1, members);
    stopping_ = false;
    for (int member = 1; member < size(); ++member)
      helpers_.emplace_back([this, member] { help(member); });
  }

  bool bind(const std::vector<int>& processors) {
    if (processors.size() < static_cast<size_t>(size())) return false;
    bool bound = bind_thread(pthread_self(), processors[0]);
    for (size_t i = 0; i < helpers_.size(); ++i) {
      bound = bind_thread(helpers_[i].native_handle(), processors[i + 1]) && bound;
    }
    return bound;
  }

  void run(int64_t tasks, team_detail::Task task, void* context) {
    if (tasks <= 1 || size() == 1 || computing_.exchange(true, std::memory_order_acquire)) {
      for (int64_t i = 0; i < tasks; ++i) task(context, i, 0);
      return;
    }
    task_.store(task, std::memory_order_relaxed);
    context_.store(context, std::memory_order_relaxed);
    tasks_.store(tasks, std::memory_order_relaxed);
    done_.store(0, std::memory_order_relaxed);
    ticket_.store(++loop_ << kTaskBits | static_cast<uint64_t>(tasks), std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) ticket_.notify_all();
    work(0);
    // What is left is in helpers' hands; if they are kept from running, let them have this
    // processor.
    for (int spins = 0; done_.load(std::memory_order_acquire) != tasks; ++spins) {
      if (spins < kImpatientSpins) {
        pause_briefly();
      } else {
        sched_yield();
      }
    }
    computing_.store(false, std::memory_order_release);
  }

 private:
  // Claims and does tasks of the current loop until none is left.
  void work(int member) {
    for (;;) {
      uint64_t ticket = ticket_.load(std::memory_order_acquire);
      const auto unclaimed = static_cast<int64_t>(ticket & kTaskMask);
      if (unclaimed == 0) return;
      const team_detail::Task task = task_.load(std::memory_order_relaxed);
      void* const context = context_.load(std::memory_order_relaxed);
      const int64_t index = tasks_.load(std::memory_order_relaxed) - unclaimed;
      if (!ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel)) continue;
      task(context, index, member);
      done_.fetch_add(1, std::memory_order_release);
    }
  }

  void help(int member) {
    uint64_t seen = 0;
    while (!stopping_.load(std::memory_order_acquire)) {
      const uint64_t ticket = wait_for_another_loop(seen);
      work(member);
      seen = ticket >> kTaskBits;
    }
  }

  uint64_t wait_for_another_loop(uint64_t seen) {
    for (int spins = 0; spins < kSpins; ++spins) {
      const uint64_t ticket = ticket_.load(std::memory_order_acquire);
      if (ticket >> kTaskBits != seen || stopping_.load(std::memory_order_relaxed)) return ticket;
      pause_briefly();
    }
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    uint64_t ticket = ticket_.load(std::memory_order_seq_cst);
    while (ticket >> kTaskBits == seen && !stopping_.load(std::memory_order_acquire)) {
      ticket_.wait(ticket, std::memory_order_acquire);
      ticket = ticket_.load(std::memory_order_acquire);
    }
    sleepers_.fetch_sub(1, std::memory_order_seq_cst);
    return ticket;
  }

  void stop_helpers() {
    stopping_.store(true, std::memory_order_release);
    ticket_.store(++loop_ << kTaskBits, std::memory_order_seq_cst);
    ticket_.notify_all();
    for (std::thread& helper : helpers_) helper.join();
    helpers_.clear();
  }

  std::atomic<bool> computing_{false};  // a thread is inside run()
  std::vector<std::thread> helpers_;
  std::atomic<int> size_{1};
  std::atomic<bool> stopping_{false};
  uint64_t loop_ = 0;

  alignas(64) std::atomic<uint64_t> ticket_{0};
  alignas(64) std::atomic<int64_t> done_{0};
  alignas(64) std::atomic<int> sleepers_{0};
  std::atomic<int64_t> tasks_{0};
  std::atomic<team_detail::Task> task_{nullptr};
  std::atomic<void*> context_{nullptr};
};

Team& team() {
  static Team instance;
  return instance;
}

}  // namespace

int available_processors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int team_size() { return team().size(); }
void set_team_size(int members) { team().resize(members); }
bool bind_team(const std::vector<int>& processors) { return team().bind(processors); }

void team_detail::run(int64_t tasks, Task task, void* context) { team().run(tasks, task, context); }

}  // namespace fathom
