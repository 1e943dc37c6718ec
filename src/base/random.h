// Counter-based randomness: the same key and index give the same bits, whatever else was drawn.
//
// A key names a stream by (seed, purpose, step, layer); an index picks a draw in it.
// Threads: any; nothing here has state.
#pragma once

#include <cmath>
#include <cstdint>

namespace fathom {

// What a stream is for; a new purpose never shifts the draws of another.
enum class Purpose : uint32_t {
  kInit = 1,      // weights
  kData = 2,      // document order, problem generation
  kSampling = 3,  // tokens
  kReward = 4,    // control rewards
  kExam = 5,      // held-out problems
  kTest = 6,
};

// Mixes 64 bits (the finaliser of splitmix64).
inline uint64_t mix64(uint64_t x) {
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

__extension__ typedef unsigned __int128 Wide;

struct RandomKey {
  uint64_t seed = 0;
  Purpose purpose = Purpose::kTest;
  uint64_t step = 0;
  uint64_t layer = 0;

  uint64_t bits(uint64_t index) const {
    uint64_t h = mix64(seed ^ (static_cast<uint64_t>(purpose) << 56));
    h = mix64(h ^ step);
    h = mix64(h ^ (layer * 0xD1342543DE82EF95ull));
    return mix64(h ^ index);
  }
  // [0, 1), 53 bits
  double uniform(uint64_t index) const {
    return static_cast<double>(bits(index) >> 11) * 0x1.0p-53;
  }
  // 0 … n − 1; the bias of at most n / 2^64 is below anything measurable here
  uint64_t below(uint64_t index, uint64_t n) const {
    return static_cast<uint64_t>((static_cast<Wide>(bits(index)) * n) >> 64);
  }
  // N(0, 1) by Box-Muller on the two halves of the index's draws
  double normal(uint64_t index) const {
    const double u = uniform(2 * index), v = uniform(2 * index + 1);
    return std::sqrt(-2.0 * std::log(1.0 - u)) * std::cos(6.283185307179586 * v);
  }
};

// FNV-1a, for turning names and problems into stream numbers and splits.
inline uint64_t hash_text(const char* data, size_t size) {
  uint64_t h = 0xCBF29CE484222325ull;
  for (size_t i = 0; i < size; ++i)
    h = (h ^ static_cast<unsigned char>(data[i])) * 0x100000001B3ull;
  return mix64(h);
}

}  // namespace fathom
