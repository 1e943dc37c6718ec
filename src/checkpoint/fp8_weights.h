// Matrices of FP8 codes with a scale for each 128 x 128 elements, as DeepSeek-V3 is published.
//
//   scale = max |block| / 448 (1 for a block of zeros)     code = e4m3(value / scale)
// A value is worth its code times its scale; the name of the scales, NAME_scale_inv, says
// otherwise. Threads: pure functions; the work is shared by the compute threads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/view.h"

namespace fathom {

std::string fp8_scale_name(std::string_view weight);

// [ceil(rows / 128), ceil(cols / 128)]
Shape fp8_scale_shape(const Shape& matrix);

// Which tensors are published so: the projections of attention and feed-forward, not the router,
// not embedding, head and multi-token projection.
bool published_as_fp8(std::string_view name, const Shape& shape);

struct Fp8Matrix {
  std::vector<uint8_t> codes;  // [rows, cols]
  std::vector<float> scales;   // fp8_scale_shape()
};

// values [rows, cols]. `power_of_two`: scales are rounded up to powers of two ("ue8m0", V3.1).
// A block of values that once were codes, each rounded to bf16 (or f32) on its way here, gets those
// codes back, and a scale from which the same rounding makes every value of it again.
Fp8Matrix to_fp8(const float* values, int64_t rows, int64_t cols, bool power_of_two = false);

}  // namespace fathom
