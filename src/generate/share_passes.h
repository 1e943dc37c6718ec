// Passes over some of a step's rows each, computed by all threads at once.
//
// A row's result does not depend on the rows beside it, so a step may be cut anywhere. One pass
// shares each of its products between the threads, which for a small model costs more than the
// products; a pass for each thread shares nothing. It reads all weights, though: these must fit the
// cache of a core.
#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>
#include <utility>
#include <vector>

#include "base/team.h"

namespace fathom {

using RowRange = std::pair<size_t, size_t>;  // [begin, end)

// A range for each thread, of at least `least_rows`; one where there are fewer.
inline std::vector<RowRange> ranges_for_threads(size_t rows, size_t least_rows) {
  const size_t count = std::clamp<size_t>(rows / least_rows, 1, static_cast<size_t>(team_size()));
  std::vector<RowRange> ranges;
  for (size_t i = 0; i < count; ++i) ranges.push_back({rows * i / count, rows * (i + 1) / count});
  return ranges;
}

// Returns fn(begin, end) of each range; throws what the first that failed threw.
template <class Fn>
auto share_passes(const std::vector<RowRange>& ranges, const Fn& fn) {
  std::vector<decltype(fn(size_t{}, size_t{}))> results(ranges.size());
  std::vector<std::exception_ptr> failures(ranges.size());
  share_tasks(static_cast<int64_t>(ranges.size()), [&](int64_t task, int) {
    const auto i = static_cast<size_t>(task);
    try {
      results[i] = fn(ranges[i].first, ranges[i].second);
    } catch (...) {
      failures[i] = std::current_exception();
    }
  });
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  return results;
}

}  // namespace fathom
