#include "ops/fp8_groups.h"

#include <algorithm>
#include <cmath>

#include "base/float_bits.h"
#include "base/team.h"
#include "tensor/view.h"

namespace fathom {
namespace {

constexpr int64_t kGroup = BlockScales::kBlock;
constexpr float kSmallestAmax = 1e-4f;

// By its bits: the logarithm of a number just above a power of two may round to a whole one.
float round_up_to_power_of_two(float value) {
  int exponent;
  return std::frexp(value, &exponent) == 0.5f ? value : std::ldexp(1.0f, exponent);
}

}  // namespace

float fp8_scale(float largest, bool power_of_two) {
  const float scale = largest / kLargestF8E4M3;
  if (scale == 0) return 1;
  return power_of_two && std::isfinite(scale) ? round_up_to_power_of_two(scale) : scale;
}

Fp8Groups to_fp8_groups(const float* values, int64_t rows, int64_t cols, bool power_of_two) {
  const int64_t across = (cols + kGroup - 1) / kGroup;
  Fp8Groups groups;
  groups.codes.resize(static_cast<size_t>(rows * cols));
  groups.scales.resize(static_cast<size_t>(rows * across));
  share_tasks(rows, [&](int64_t r, int) {
    const float* row = values + r * cols;
    uint8_t* codes = groups.codes.data() + r * cols;
    for (int64_t g = 0; g < across; ++g) {
      const int64_t begin = g * kGroup, end = std::min(cols, begin + kGroup);
      float amax = kSmallestAmax;
      for (int64_t c = begin; c < end; ++c) amax = std::max(amax, std::abs(row[c]));
      const float scale = fp8_scale(amax, power_of_two);
      groups.scales[static_cast<size_t>(r * across + g)] = scale;
      for (int64_t c = begin; c < end; ++c) codes[c] = f32_to_f8e4m3(row[c] / scale);
    }
  });
  return groups;
}

}  // namespace fathom
