#include "model/rope_scaling.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "ops/rope/rope.h"

namespace fathom {
namespace {

// Attention's answer to a context `factor` times as long (YaRN, eq. 22, with the weight that the
// DeepSeek models add).
double magnitude(double factor, double mscale) {
  return factor <= 1 ? 1 : 0.1 * mscale * std::log(factor) + 1;
}

// The pair of dimensions that turns `turns` times within the original length.
double pair_of_turns(const RopeScaling& s, double theta, int64_t dim, double turns) {
  const double length = static_cast<double>(s.original_max_position_embeddings);
  return static_cast<double>(dim) * std::log(length / (2 * std::numbers::pi * turns)) /
         (2 * std::log(theta));
}

void scale_yarn(const RopeScaling& s, double theta, int64_t dim, std::vector<double>& inv_freq) {
  const double low = std::max(std::floor(pair_of_turns(s, theta, dim, s.beta_fast)), 0.0);
  // Against dim − 1 although there are only dim / 2 pairs: as published.
  double high =
      std::min(std::ceil(pair_of_turns(s, theta, dim, s.beta_slow)), static_cast<double>(dim - 1));
  if (low == high) high += 0.001;
  for (size_t i = 0; i < inv_freq.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    inv_freq[i] = inv_freq[i] / s.factor * ramp + inv_freq[i] * (1 - ramp);
  }
}

void scale_llama3(const RopeScaling& s, std::vector<double>& inv_freq) {
  const double length = static_cast<double>(s.original_max_position_embeddings);
  for (double& frequency : inv_freq) {
    const double turns = length * frequency / (2 * std::numbers::pi);  // in the original length
    if (turns > s.high_freq_factor) continue;
    const double kept = turns < s.low_freq_factor ? 0
                                                  : (turns - s.low_freq_factor) /
                                                        (s.high_freq_factor - s.low_freq_factor);
    frequency = (1 - kept) * frequency / s.factor + kept * frequency;
  }
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

std::vector<double> scaled_rope_frequencies(const RopeScaling& scaling, double theta, int64_t dim) {
  std::vector<double> inv_freq = rope_frequencies(theta, dim);
  switch (scaling.kind) {
    case RopeKind::kPlain:
    case RopeKind::kDynamic:
      break;
    case RopeKind::kLinear:
      for (double& frequency : inv_freq) frequency /= scaling.factor;
      break;
    case RopeKind::kYarn:
      scale_yarn(scaling, theta, dim, inv_freq);
      break;
    case RopeKind::kLlama3:
      scale_llama3(scaling, inv_freq);
      break;
  }
  return inv_freq;
}

}  // namespace fathom
