#include "checkpoint/fp8_weights.h"

#include <algorithm>
#include <cmath>

#include "base/float_bits.h"
#include "base/team.h"

namespace fathom {
namespace {

constexpr int64_t kBlock = BlockScales::kBlock;
constexpr float kLargestCode = 448.0f;

int64_t blocks(int64_t size) { return (size + kBlock - 1) / kBlock; }

struct Columns {
  int64_t begin, end;
};

float scale_of(const float* values, int64_t rows, int64_t cols, Columns block, bool power_of_two) {
  float largest = 0;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = block.begin; c < block.end; ++c)
      largest = std::max(largest, std::abs(values[r * cols + c]));
  }
  if (largest == 0) return 1;
  const float scale = largest / kLargestCode;
  return power_of_two ? std::exp2(std::ceil(std::log2(scale))) : scale;
}

}  // namespace

std::string fp8_scale_name(std::string_view weight) { return std::string(weight) + "_scale_inv"; }

Shape fp8_scale_shape(const Shape& matrix) {
  return {blocks(matrix.rows()), blocks(matrix.cols())};
}

bool published_as_fp8(std::string_view name, const Shape& shape) {
  const bool inner = name.find(".self_attn.") != name.npos || name.find(".mlp.") != name.npos;
  return inner && shape.rank() == 2 && name.ends_with(".weight") &&
         !name.ends_with(".mlp.gate.weight");
}

Fp8Matrix to_fp8(const float* values, int64_t rows, int64_t cols, bool power_of_two) {
  Fp8Matrix matrix;
  matrix.codes.resize(static_cast<size_t>(rows * cols));
  const int64_t across = blocks(cols);
  matrix.scales.resize(static_cast<size_t>(blocks(rows) * across));
  share_tasks(blocks(rows), [&](int64_t down, int) {
    const int64_t first = down * kBlock, count = std::min(kBlock, rows - first);
    const float* from = values + first * cols;
    uint8_t* codes = matrix.codes.data() + first * cols;
    for (int64_t b = 0; b < across; ++b) {
      const Columns block{b * kBlock, std::min(cols, (b + 1) * kBlock)};
      const float scale = scale_of(from, count, cols, block, power_of_two);
      matrix.scales[static_cast<size_t>(down * across + b)] = scale;
      for (int64_t r = 0; r < count; ++r) {
        for (int64_t c = block.begin; c < block.end; ++c)
          codes[r * cols + c] = f32_to_f8e4m3(from[r * cols + c] / scale);
      }
    }
  });
  return matrix;
}

}  // namespace fathom
