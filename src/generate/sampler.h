// Choosing the next token from logits.
//
// Order: temperature, min-p, top-k, top-p, softmax, draw; temperature 0 is the arg-max. All in f32
// with f64 sums; ties go to the lower id. The draw depends on (seed, index) alone, so neither batch
// mates nor thread count change it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace fathom {

struct Sampling {
  double temperature = 1;  // 0: greedy
  int64_t top_k = 0;       // 0: off
  double top_p = 1;
  double min_p = 0;  // drops tokens below min_p · p_max
  uint64_t seed = 0;
};

// Throws Error(kUsage) naming the value that makes no sense.
void check_sampling(const Sampling& sampling);

struct SampledToken {
  int32_t id = 0;
  double logprob = 0;  // log softmax(logits)[id] of the unmodified logits
};

// Nothing when the logits hold a NaN or are all −infinity. `index` counts the tokens of one
// request.
std::optional<SampledToken> sample_token(std::span<const float> logits, const Sampling& sampling,
                                         uint64_t index);

// The ids that survive min-p, top-k and top-p with their final probabilities, ascending by id; for
// tests and inspection.
struct KeptTokens {
  std::vector<int32_t> ids;
  std::vector<double> probs;
};
KeptTokens kept_tokens(std::span<const float> logits, const Sampling& sampling);

}  // namespace fathom
