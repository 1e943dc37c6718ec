#include "data/shuffle.h"

#include <bit>

#include "base/error.h"

namespace fathom {
namespace {

// Four Feistel rounds on 2 · half_bits bits: a permutation whatever the round function is.
uint64_t feistel(const RandomKey& key, uint64_t value, int half_bits) {
  const uint64_t mask = (uint64_t{1} << half_bits) - 1;
  uint64_t left = value >> half_bits, right = value & mask;
  for (uint64_t round = 0; round < 4; ++round) {
    const uint64_t mixed = left ^ (key.bits(round << 32 ^ right) & mask);
    left = right;
    right = mixed;
  }
  return left << half_bits | right;
}

}  // namespace

uint64_t permuted(const RandomKey& key, uint64_t index, uint64_t n) {
  FATHOM_CHECK(index < n && n <= uint64_t{1} << 62, "permuted: index ", index, " of ", n);
  if (n == 1) return 0;
  const int half_bits = (static_cast<int>(std::bit_width(n - 1)) + 1) / 2;
  // Walking on until the value is in range keeps it a permutation of 0 … n − 1; fewer than four
  // rounds on average.
  uint64_t value = index;
  do {
    value = feistel(key, value, half_bits);
  } while (value >= n);
  return value;
}

uint64_t shuffled_element(uint64_t seed, uint64_t place, uint64_t n) {
  FATHOM_CHECK(n > 0, "shuffled_element: nothing to walk through");
  const RandomKey epoch_key{.seed = seed, .purpose = Purpose::kData, .step = place / n, .layer = 1};
  return permuted(epoch_key, place % n, n);
}

}  // namespace fathom
