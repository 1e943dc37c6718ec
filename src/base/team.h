// The compute threads: the caller and its helpers share the tasks of one loop.
//
// Tasks are claimed one by one, and the caller claims too: a helper that the system does not let
// run costs nothing, since the others do its share. (A fork-join region waits for every thread to
// arrive; on a machine with other work that is a time slice a region: 24 times slower training was
// measured.) Helpers spin for a moment between loops, then sleep. Threads: one thread at a time
// computes; a call from inside a task, or from a second thread meanwhile, runs its tasks itself.
// Results must not depend on who does a task: `member` is for scratch memory only.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

namespace fathom {

// Members in all, the caller included; at least 1. Starts at the number of processors this process
// may use.
int team_size();
int available_processors();       // that this process may use
void set_team_size(int members);  // while nothing computes
// Binds member i to processor processors[i], for measurements. False where the system refuses or
// there are too few.
bool bind_team(const std::vector<int>& processors);

namespace team_detail {
using Task = void (*)(void* context, int64_t task, int member);
void run(int64_t tasks, Task task, void* context);
}  // namespace team_detail

// Calls fn(task, member) for every task in [0, tasks), member in [0, team_size()). Returns when all
// are done.
template <class Fn>
void share_tasks(int64_t tasks, Fn&& fn) {
  using Callable = std::remove_reference_t<Fn>;
  team_detail::run(
      tasks,
      [](void* context, int64_t task, int member) {
        (*static_cast<Callable*>(context))(task, member);
      },
      const_cast<std::remove_const_t<Callable>*>(std::addressof(fn)));
}

}  // namespace fathom
