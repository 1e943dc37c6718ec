// Scales of FP8 codes, and rows of activations as codes with a scale for each 128 channels.
//
//   amax  = max(max |group|, 1e-4)     scale = amax / 448     code = e4m3(x / scale), divided in
//   f32
// DeepSeek-V3 (arXiv:2412.19437), 3.3.2: tiles of 1 x 128 for activations, blocks of 128 x 128 for
// weights. The floor of amax is that of the newer official kernels: without it a group of zeros
// gives 0 / 0. With "ue8m0" a scale is rounded up to a power of two before anything is divided by
// it. A product multiplies the sum over a group by both scales:
//   y[m, n] = sum over g of (sum over k in g of x[m, k] · w[n, k]) · scale[m, g] · scale[n / 128,
//   g]
// Threads: pure functions; the work is shared by the compute threads.
#pragma once

#include <cstdint>
#include <vector>

namespace fathom {

inline constexpr float kLargestF8E4M3 = 448.0f;

// The factor that takes the largest magnitude of a group to the largest code; 1 where that is 0.
float fp8_scale(float largest, bool power_of_two);

struct Fp8Groups {
  std::vector<uint8_t> codes;  // [rows, cols]
  std::vector<float> scales;   // [rows, ceil(cols / 128)]
};

// values [rows, cols]. Each row by itself: other rows of a batch change nothing.
Fp8Groups to_fp8_groups(const float* values, int64_t rows, int64_t cols, bool power_of_two = false);

}  // namespace fathom
