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
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "base/team.h"

namespace fathom {

using RowRange = std::pair<size_t, size_t>;  // [begin, end)

// A range for each thread, of at least `least` sequences where there are so many, nearly equal in
// tokens; `tokens` has one number for each sequence.
inline std::vector<RowRange> ranges_for_threads(std::span<const int64_t> tokens, size_t least) {
  const auto threads = static_cast<size_t>(team_size());
  const size_t count = std::clamp<size_t>(tokens.size() / least, 1, threads);
  const int64_t total = std::accumulate(tokens.begin(), tokens.end(), int64_t{0});
  std::vector<RowRange> ranges;
  int64_t before = 0;
  size_t begin = 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    before += tokens[i];
    const auto cuts = static_cast<int64_t>(ranges.size() + 1);
    if (before * static_cast<int64_t>(count) < total * cuts) continue;
    ranges.push_back({begin, i + 1});
    begin = i + 1;
  }
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
