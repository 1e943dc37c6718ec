#include "checkpoint/fp8_weights.h"

#include <algorithm>
#include <cmath>

#include "base/float_bits.h"
#include "base/team.h"
#include "ops/fp8_groups.h"

namespace fathom {
namespace {

constexpr int64_t kBlock = BlockScales::kBlock;

int64_t blocks(int64_t size) { return (size + kBlock - 1) / kBlock; }

// One block of a matrix, and its codes.
struct Block {
  const float* values;
  uint8_t* codes;
  int64_t rows, cols, stride;

  // Calls fn(value, code) for each element until it gives false; whether it never did.
  template <class Fn>
  bool all(const Fn& fn) const {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) {
        if (!fn(values[r * stride + c], codes[r * stride + c])) return false;
      }
    }
    return true;
  }
};

float scale_of(const Block& block, bool power_of_two) {
  float largest = 0;
  block.all([&](float value, uint8_t) {
    largest = std::max(largest, std::abs(value));
    return true;
  });
  return fp8_scale(largest, power_of_two);
}

// What rounding to `bits` significant bits may have made of a value: the ends of that interval.
struct Interval {
  double low, high;
};

Interval before_rounding(double value, int bits) {
  int exponent;
  const double fraction = std::frexp(value, &exponent);  // [0.5, 1)
  const double half = std::ldexp(0.5, exponent - bits);
  return {value - (fraction == 0.5 ? half / 2 : half), value + half};
}

// The scale with which the codes, rounded as the values once were, give the values again; `scale`
// where there is none, as for all values that never were codes.
float exact_scale(const Block& block, float scale) {
  constexpr double kNear = 0x1p-6;  // wider than what two roundings to bf16 can do
  const auto close = [&](float value, uint8_t code) {
    return std::abs(value - f8e4m3_to_f32(code) * scale) <= kNear * std::abs(value);
  };
  if (!block.all(close)) return scale;
  const bool bf16 =
      block.all([](float value, uint8_t) { return bf16_to_f32(f32_to_bf16(value)) == value; });
  const auto gives_values = [&](float candidate) {
    return block.all([&](float value, uint8_t code) {
      const float product = f8e4m3_to_f32(code) * candidate;
      return (bf16 ? bf16_to_f32(f32_to_bf16(product)) : product) == value;
    });
  };
  if (gives_values(scale)) return scale;
  Interval scales{0, 2.0 * scale};  // that no value excludes
  block.all([&](float value, uint8_t code) {
    if (value == 0) return true;
    const double factor = std::abs(f8e4m3_to_f32(code));
    const Interval product = before_rounding(std::abs(value), bf16 ? 8 : 24);
    scales.low = std::max(scales.low, product.low / factor);
    scales.high = std::min(scales.high, product.high / factor);
    return true;
  });
  // The middle; where hardly more than one number is left, its neighbours too.
  float below = static_cast<float>((scales.low + scales.high) / 2), above = below;
  for (int i = 0; i < 4; ++i) {
    if (gives_values(below)) return below;
    if (gives_values(above)) return above;
    below = std::nextafter(below, 0.0f);
    above = std::nextafter(above, INFINITY);
  }
  return scale;
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
      const int64_t first_col = b * kBlock;
      const Block block{from + first_col, codes + first_col, count,
                        std::min(kBlock, cols - first_col), cols};
      float scale = scale_of(block, power_of_two);
      for (int64_t r = 0; r < block.rows; ++r) {
        for (int64_t c = 0; c < block.cols; ++c)
          block.codes[r * cols + c] = f32_to_f8e4m3(block.values[r * cols + c] / scale);
      }
      if (!power_of_two) scale = exact_scale(block, scale);
      matrix.scales[static_cast<size_t>(down * across + b)] = scale;
    }
  });
  return matrix;
}

}  // namespace fathom
