#include "model/rope_scaling.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "ops/rope/rope.h"

namespace fathom {
namespace {

// The pair of dimensions that turns `turns` times within the original length.
double pair_of_turns(const RopeScaling& s, double theta, int64_t dim, double turns) {
  const double length = static_cast<double>(s.original_max_position_embeddings);
  return static_cast<double>(dim) * std::log(length / (2 * std::numbers::pi * turns)) /
         (2 * std::log(theta));
}

float narrow(double value) { return static_cast<float>(value); }

void scale_linear(const RopeScaling& s, std::vector<double>& inv_freq) {
  for (double& frequency : inv_freq)
    frequency = static_cast<double>(narrow(frequency) / narrow(s.factor));
}

void scale_yarn(const RopeScaling& s, double theta, int64_t dim, std::vector<double>& inv_freq) {
  const double low = std::max(std::floor(pair_of_turns(s, theta, dim, s.beta_fast)), 0.0);
  // Against dim − 1 although there are only dim / 2 pairs: as published.
  double high =
      std::min(std::ceil(pair_of_turns(s, theta, dim, s.beta_slow)), static_cast<double>(dim - 1));
  if (low == high) high += 0.001;
  for (size_t i = 0; i < inv_freq.size(); ++i) {
    const float place = (static_cast<float>(i) - narrow(low)) / narrow(high - low);
    const float kept = 1 - std::clamp(place, 0.0f, 1.0f), whole = narrow(inv_freq[i]);
    inv_freq[i] = static_cast<double>(whole / narrow(s.factor) * (1 - kept) + whole * kept);
  }
}

void scale_llama3(const RopeScaling& s, std::vector<double>& inv_freq) {
  const float length = narrow(static_cast<double>(s.original_max_position_embeddings));
  const float low = narrow(s.low_freq_factor), high = narrow(s.high_freq_factor);
  for (double& frequency : inv_freq) {
    const float whole = narrow(frequency);
    const float turns = length / (narrow(2 * std::numbers::pi) / whole);  // in the original length
    if (turns > high) continue;
    const float kept = turns < low ? 0 : (turns - low) / (high - low);
    frequency = static_cast<double>((1 - kept) * whole / narrow(s.factor) + kept * whole);
  }
}

}  // namespace

std::vector<double> scaled_rope_frequencies(const RopeScaling& scaling, double theta, int64_t dim) {
  std::vector<double> inv_freq = rope_frequencies(theta, dim);
  switch (scaling.kind) {
    case RopeKind::kPlain:
    case RopeKind::kDynamic:
      break;
    case RopeKind::kLinear:
      scale_linear(scaling, inv_freq);
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
