// Weights as a file stores them (f32, bf16, f16, FP8 with block scales), read where they lie.
//
// Products take such a b: each element counts as its f32 value, which is exact but for the product
// of an FP8 code and its scale, rounded once.
#pragma once

#include <vector>

#include "base/float_bits.h"
#include "ops/kernel_table.h"

namespace fathom {

inline float stored_element(const ConstView& x, int64_t r, int64_t c) {
  switch (x.dtype) {
    case DType::kF32:
      return x.row<float>(r)[c];
    case DType::kBF16:
      return bf16_to_f32(x.row<uint16_t>(r)[c]);
    case DType::kF16:
      return f16_to_f32(x.row<uint16_t>(r)[c]);
    case DType::kF8E4M3:
      return f8e4m3_to_f32(x.row<uint8_t>(r)[c]) * x.scales.of(r, c);
    default:
      fail(ErrorCode::kInternal, "stored weights of type ", info(x.dtype).name,
           "; expected f32, bf16, f16 or f8_e4m3");
  }
}

// An f32 copy in `memory`, or x itself where it needs none: for references.
inline ConstView widened(const ConstView& x, std::vector<float>& memory) {
  if (x.dtype == DType::kF32 || x.dtype == DType::kF64) return x;
  memory.resize(static_cast<size_t>(x.rows() * x.cols()));
  for (int64_t r = 0; r < x.rows(); ++r) {
    for (int64_t c = 0; c < x.cols(); ++c)
      memory[static_cast<size_t>(r * x.cols() + c)] = stored_element(x, r, c);
  }
  return {memory.data(), DType::kF32, x.shape, x.cols(), {}};
}

}  // namespace fathom
