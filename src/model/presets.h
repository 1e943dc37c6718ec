// Named model shapes: the ones that Fathom trains from nothing, and the ones that benchmarks
// compare.
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
const ModelPreset& model_preset(
    const std::string& name);  // throws Error(kUsage) with the nearest names

}  // namespace fathom
