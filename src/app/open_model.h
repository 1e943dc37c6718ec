// Model folders that nobody vouches for: their claims are checked before memory is taken for them.
#pragma once

#include <string>

#include "checkpoint/model_folder.h"
#include "io/safetensors_folder.h"

namespace fathom {

// A decoder is built from the configuration before names and shapes are compared, so its sizes must
// be credible first: none beyond reason, and each layer and each expert has tensors of its own.
// Throws Error(kModel).
void check_credible(const ModelConfig& config, const SafetensorsFolder& weights);

// load_model behind that check.
LoadedModel open_model(const std::string& path, Allocator& memory);

}  // namespace fathom
