// Rotary positions beyond the length of pre-training: how a config's rope_scaling changes the
// frequencies, the size of cos and sin, and the softmax scale.
//
//   linear   positions divided by `factor`                              Chen et al. 2023
//            (arXiv:2306.15595)
//   yarn     high frequencies stay, low ones are divided by `factor`, those between blend
//            (arXiv:2309.00071)
//   llama3   the same, cut by wavelength                                (arXiv:2407.21783)
//   dynamic  plain up to max_position_embeddings; no model of the family goes beyond it, and no
//            sequence of Fathom does either
// Values, no state.
#pragma once

#include <cstdint>
#include <vector>

namespace fathom {

enum class RopeKind : uint8_t { kPlain, kLinear, kDynamic, kYarn, kLlama3 };

const char* name_of(RopeKind kind);  // as rope_type spells it; kPlain is "default"

// Fields have the names of their keys in rope_scaling.
struct RopeScaling {
  RopeKind kind = RopeKind::kPlain;
  double factor = 1;
  int64_t original_max_position_embeddings = 0;      // yarn, llama3
  double beta_fast = 32, beta_slow = 1;              // yarn: turns in the original length
  double mscale = 1, mscale_all_dim = 0;             // yarn
  double low_freq_factor = 1, high_freq_factor = 4;  // llama3: wavelengths in the original length

  // What multiplies cos and sin.
  double cos_sin_factor() const;
  // What multiplies the softmax scale of MLA; other attention does not know it.
  double softmax_factor() const;

  bool operator==(const RopeScaling&) const = default;
};

// Radians a position, [dim / 2]; in f32 steps, as rope_frequencies.
std::vector<double> scaled_rope_frequencies(const RopeScaling& scaling, double theta, int64_t dim);

}  // namespace fathom
