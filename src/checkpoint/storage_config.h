// The keys of config.json that say how the weights beside it are stored.
#pragma once

#include "io/json.h"
#include "tensor/dtype.h"

namespace fathom {

// Sets torch_dtype, and quantization_config for kF8E4M3 (the form of DeepSeek-V3; `power_of_two`
// scales as V3.1 names them); removes the latter for other types.
void set_storage(Json& config, DType dtype, bool power_of_two = false);

}  // namespace fathom
