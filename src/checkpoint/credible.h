// Claims of a config.json that nobody vouches for, checked before memory is taken for them.
//
// A decoder is built from the configuration before names and shapes are compared with the files, so
// its sizes must be credible first: none beyond reason, and each layer and each expert has tensors
// of its own.  Threads: pure functions.
#pragma once

#include <string>

#include "io/safetensors_folder.h"
#include "model/model_config.h"

namespace fathom {

// No size is far above every published model's; sums and products of parameters stay within 64
// bits. Throws Error(kModel).
void check_sizes(const ModelConfig& config);
// The same, and `weights` holds a tensor at least for each layer and each expert. Throws
// Error(kModel).
void check_credible(const ModelConfig& config, const SafetensorsFolder& weights);

// FOLDER/config.json after that check.
ModelConfig read_credible_config(const std::string& folder);

}  // namespace fathom
