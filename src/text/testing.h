// For the tests of this folder: draws one after the other.
//
// Threads: one.
#pragma once

#include "base/random.h"

namespace fathom {

class Draws {
 public:
  explicit Draws(uint64_t seed) : key_{.seed = seed} {}

  uint64_t below(uint64_t n) { return key_.below(next_++, n); }

  template <class List>
  const auto& one_of(const List& list) {
    return list[below(list.size())];
  }

 private:
  RandomKey key_;
  uint64_t next_ = 0;
};

}  // namespace fathom
