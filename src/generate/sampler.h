// Choosing the next tokens from logits.
//
// Order: temperature, min-p, top-k, top-p, softmax, draw; temperature 0 is the arg-max. Weights in
// f32, sums in f64; ties go to the lower id. The rows of one call are shared among the threads; a
// draw depends on its row and (seed, index) alone, so neither batch mates nor thread count change
// it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/pass.h"

namespace fathom {

struct Sampling {
  double temperature = 1;  // 0: greedy
  int64_t top_k = 0;       // 0: off
  double top_p = 1;
  double min_p = 0;  // drops tokens below min_p · p_max
  uint64_t seed = 0;
};

// The first value that makes no sense, such as {"top_p", 1.5, "between 0 and 1"}.
struct SamplingFault {
  std::string name;
  double value = 0;
  std::string expected;
};
std::optional<SamplingFault> sampling_fault(const Sampling& sampling);
// Throws Error(kUsage) with it.
void check_sampling(const Sampling& sampling);

struct SampledToken {
  int32_t id = 0;
  double logprob = 0;  // log softmax(logits)[id] of the unmodified logits
};

// The draws from one row of logits: draw i has seed sampling.seed + i.
struct RowDraws {
  Sampling sampling;
  uint64_t index = 0;  // counts the tokens of one request
  int64_t draws = 1;
};

// One RowDraws for each row of logits [rows, vocab] f32. Gives the rows' draws one after another;
// nothing for the draws of a row that holds a NaN or +infinity or is all −infinity.
std::vector<std::optional<SampledToken>> sample_tokens(Pass& pass, const Tensor& logits,
                                                       std::span<const RowDraws> rows);

// The ids that survive min-p, top-k and top-p with their final probabilities, ascending by id; for
// tests and inspection. logits [1, vocab] f32, finite somewhere.
struct KeptTokens {
  std::vector<int32_t> ids;
  std::vector<double> probs;
};
KeptTokens kept_tokens(Pass& pass, const Tensor& logits, const Sampling& sampling);

}  // namespace fathom
