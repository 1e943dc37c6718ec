// Text of known entropy: a Markov source over 64 characters, so that the loss of a model trained on
// it can be compared with the least there is.
//
// The next character depends on the `order` before it. Every context has the same probabilities,
// p(i) proportional to 2^(-steepness · i), given to the characters in an order of its own; so the
// entropy of a character is the same whatever stands before it, and is known exactly. Each
// character is one byte.
// Threads: one at a time.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fathom {

inline constexpr std::string_view kSynthCharacters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 \n";
inline constexpr size_t kSynthSymbols = kSynthCharacters.size();

struct SynthConfig {
  double bits_per_byte = 2;  // more than 0, at most 6
  int64_t order = 1;         // 1 to 3
  uint64_t seed = 1;
};

class SynthSource {
 public:
  explicit SynthSource(const SynthConfig& config);

  // The next bytes; however they are asked for, the text is the same.
  std::string next(size_t bytes);
  // Of the probabilities as they are drawn.
  double bits_per_byte() const { return bits_per_byte_; }
  // Of `next` behind `context`, a text of at least `order` characters of kSynthCharacters.
  double probability(std::string_view context, char next) const;

 private:
  size_t context_after(size_t context, size_t symbol) const {
    return (context * kSynthSymbols + symbol) % contexts_;
  }
  uint8_t draw();

  SynthConfig config_;
  size_t contexts_ = 1;
  std::array<double, kSynthSymbols> probabilities_{};  // by rank
  std::array<double, kSynthSymbols> cumulative_{};
  std::vector<uint8_t> symbols_;  // [contexts, rank]
  double bits_per_byte_ = 0;
  uint64_t drawn_ = 0;
  size_t context_ = 0;
};

}  // namespace fathom
