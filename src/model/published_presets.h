// The shapes of the published models of the family, as their config.json files give them.
//
// For random weights of a real shape, for planning and for tests; a checkpoint's own config.json
// always decides what it is.
#pragma once

#include <vector>

#include "model/presets.h"

namespace fathom {

std::vector<ModelPreset> published_presets();

}  // namespace fathom
