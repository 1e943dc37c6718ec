// Attention jobs shared by the compute threads, each with scratch memory of its own.
#pragma once

#include <hwy/aligned_allocator.h>

#include <algorithm>
#include <cstdint>

#include "base/team.h"

namespace fathom {

// Calls run(job, scratch) for [0, count), `together` neighbouring jobs at a time; `scratch` has
// `scratch_floats` floats.
template <class Run>
void share_jobs(int64_t count, int64_t together, bool parallel, int64_t scratch_floats,
                const Run& run) {
  if (count == 0) return;
  const int64_t members = parallel ? team_size() : 1;
  const int64_t floats =
      (scratch_floats + 31) / 32 * 32;  // each member's begins on a boundary of 128 bytes
  const auto scratch = hwy::AllocateAligned<float>(static_cast<size_t>(members * floats));
  const auto work = [&](int64_t task, int member) {
    for (int64_t i = task * together; i < std::min(count, (task + 1) * together); ++i) {
      run(i, scratch.get() + member * floats);
    }
  };
  const int64_t tasks = (count + together - 1) / together;
  if (parallel) return share_tasks(tasks, work);
  for (int64_t task = 0; task < tasks; ++task) work(task, 0);
}

}  // namespace fathom
