// Random order without state: draws that follow one another, and permutations that can be read at
// any place.
#pragma once

#include <cstdint>

#include "base/random.h"

namespace fathom {

// The draws of one key in order; for code that needs a varying number of them.
class Draws {
 public:
  explicit Draws(const RandomKey& key) : key_(key) {}

  uint64_t below(uint64_t n) { return key_.below(next_++, n); }  // 0 … n − 1
  int32_t between(int32_t low, int32_t high) {                   // both included
    return low + static_cast<int32_t>(below(static_cast<uint64_t>(high - low + 1)));
  }
  double uniform() { return key_.uniform(next_++); }  // [0, 1)

 private:
  RandomKey key_;
  uint64_t next_ = 0;
};

// Where element `index` of 0 … n − 1 stands in the random permutation that `key` names; needs no
// memory.
uint64_t permuted(const RandomKey& key, uint64_t index, uint64_t n);

// The element at place `place` of an endless walk through 0 … n − 1: each pass visits all, in a new
// order.
uint64_t shuffled_element(uint64_t seed, uint64_t place, uint64_t n);

}  // namespace fathom
