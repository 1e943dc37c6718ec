// What of rope_scaling.h is no list of frequencies; without ops, so that a config can be read
// alone.
#include <cmath>

#include "model/rope_scaling.h"

namespace fathom {
namespace {

// Attention's answer to a context `factor` times as long (YaRN, eq. 22, with the weight that the
// DeepSeek models add).
double magnitude(double factor, double mscale) {
  return factor <= 1 ? 1 : 0.1 * mscale * std::log(factor) + 1;
}

}  // namespace

const char* name_of(RopeKind kind) {
  switch (kind) {
    case RopeKind::kPlain:
      return "default";
    case RopeKind::kLinear:
      return "linear";
    case RopeKind::kDynamic:
      return "dynamic";
    case RopeKind::kYarn:
      return "yarn";
    case RopeKind::kLlama3:
      return "llama3";
  }
  return "";
}

double RopeScaling::cos_sin_factor() const {
  return kind == RopeKind::kYarn ? magnitude(factor, mscale) / magnitude(factor, mscale_all_dim)
                                 : 1;
}

double RopeScaling::softmax_factor() const {
  if (kind != RopeKind::kYarn || mscale_all_dim == 0) return 1;
  return magnitude(factor, mscale_all_dim) * magnitude(factor, mscale_all_dim);
}

}  // namespace fathom
