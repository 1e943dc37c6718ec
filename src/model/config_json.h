// config.json <-> ModelConfig.
//
// Reading follows text-model rules: absent keys have the published defaults, unknown keys are kept
// for writing, families that are not supported are refused by name. Writing gives the keys that
// transformers' own classes read.
#pragma once

#include <string>

#include "io/json.h"
#include "model/model_config.h"

namespace fathom {

// `origin` (the file) opens every message. Throws Error(kModel).
ModelConfig parse_config(const Json& json, const std::string& origin);
ModelConfig read_config(const std::string& path);

// `torch_dtype` is the storage of the weights beside it: "float32" or "bfloat16".
Json config_to_json(const ModelConfig& config, const std::string& torch_dtype);

}  // namespace fathom
