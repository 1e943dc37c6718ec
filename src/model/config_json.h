// config.json <-> ModelConfig.
//
// Reading: absent keys have the published defaults, unknown keys are kept for writing, models
// outside the family are refused by name, and so is every key that would ask for other arithmetic
// than Fathom's. Writing gives the keys that transformers' own classes read.
#pragma once

#include <string>

#include "io/json.h"
#include "model/model_config.h"

namespace fathom {

// `origin` (the file) opens every message. Throws Error(kModel).
ModelConfig parse_config(const Json& json, const std::string& origin);
ModelConfig read_config(const std::string& path);

// generation_config.json, which stands beside config.json: may give other begin and padding ids;
// its end ids join those of config.json (either ends an answer).
void join_generation_config(ModelConfig& config, const Json& json);

// `torch_dtype` is the storage of the weights beside it: "float32" or "bfloat16". Without
// quantization_config, which whoever writes FP8 adds.
Json config_to_json(const ModelConfig& config, const std::string& torch_dtype);

}  // namespace fathom
