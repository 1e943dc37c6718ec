// Work cut into pieces whose bounds never depend on the number of threads, each done by one thread.
//
// Small work stays on the calling thread: a parallel region costs 1 to 2 microseconds.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/team.h"

namespace fathom {

constexpr int64_t kPieceElements = 16384;  // 64 KB of f32: a piece stays in a core's own cache

// Calls fn(begin, end) for [0, items) in pieces of `piece` items; an item counts as `cost`
// elements.
template <class Fn>
void for_each_piece(int64_t items, int64_t piece, int64_t cost, const Fn& fn) {
  const int64_t pieces = (items + piece - 1) / piece;
  const auto run = [&](int64_t p, int) { fn(p * piece, std::min(items, (p + 1) * piece)); };
  if (pieces > 1 && items * cost > kPieceElements) return share_tasks(pieces, run);
  for (int64_t p = 0; p < pieces; ++p) run(p, 0);
}

// How many rows make a piece.
inline int64_t piece_rows(int64_t cols) {
  return std::max<int64_t>(1, kPieceElements / std::max<int64_t>(1, cols));
}

// Calls fn(row, begin, count) for stretches of neighbouring elements that together are all of
// [rows, cols]. With `contiguous` a stretch of row 0 runs on through the rows after it.
template <class Fn>
void for_each_stretch(int64_t rows, int64_t cols, bool contiguous, const Fn& fn) {
  if (contiguous || rows == 1) {
    for_each_piece(rows * cols, kPieceElements, 1,
                   [&](int64_t begin, int64_t end) { fn(int64_t{0}, begin, end - begin); });
    return;
  }
  for_each_piece(rows, piece_rows(cols), cols, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) fn(r, int64_t{0}, cols);
  });
}

}  // namespace fathom
