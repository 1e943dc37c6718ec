// Named model shapes: the ones that Fathom trains from nothing, the ones that benchmarks compare,
// and the published ones.
#pragma once

#include <string>
#include <vector>

#include "model/model_config.h"

namespace fathom {

struct ModelPreset {
  std::string name, summary;
  ModelConfig config;  // vocab_size 0: taken from the tokenizer
};

const std::vector<ModelPreset>& model_presets();
bool has_preset(const std::string& name);
const ModelPreset& model_preset(
    const std::string& name);  // throws Error(kUsage) with the nearest names

}  // namespace fathom
