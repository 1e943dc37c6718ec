// The flags about choosing tokens, with the names that users of other programs know.
#pragma once

#include <cstdint>
#include <string>

#include "app/command_line.h"
#include "generate/sampler.h"

namespace fathom {

struct SamplingFlags {
  int64_t max_tokens = -1;  // −1: what the context leaves
  int64_t context = 0;      // 0: the model's max_position_embeddings
  double temperature = 1, top_p = 1, min_p = 0;
  int64_t top_k = 0;
  int64_t seed = -1;  // −1: a random one
};

void add_sampling_flags(Command& command, SamplingFlags& flags);

// Flags that were given, then the folder's generation_config.json, then the defaults above.
// Throws Error(kUsage) naming the flag that makes no sense.
Sampling choose_sampling(const Command& command, const SamplingFlags& flags,
                         const std::string& folder);

}  // namespace fathom
