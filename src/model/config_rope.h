// The rotary keys of config.json: rope_theta, and rope_scaling (as published) or rope_parameters
// (as newer libraries write both in one).
#pragma once

#include "io/json.h"
#include "model/model_config.h"

namespace fathom {

// Fills rope_theta and rope_scaling. Throws Error(kModel) naming key, value and expectation.
void read_rope(const Json& json, ModelConfig& config);

// Writes both forms where the file had rope_parameters, else rope_theta and rope_scaling; other
// members of an object that is there are kept.
void write_rope(const ModelConfig& config, Json& json);

}  // namespace fathom
