// Results that only products read may be kept as products round them (KernelTable::operand_dtype):
// half the memory, and the same bits in every product.
#pragma once

#include "base/float_bits.h"
#include "ops/kernel_table.h"

namespace fathom {

// The dtype of such a result of an op that computes in `dtype`.
inline DType operand_dtype(const Pass& pass, DType dtype) {
  return dtype == DType::kF32 ? pass.kernels.operand_dtype : dtype;
}

// The same rows as operands in the same memory, for a kernel that walks each row forwards: a bf16
// row is the first half of its f32 row.
inline View as_operand(const Pass& pass, View x) {
  const DType dtype = operand_dtype(pass, x.dtype);
  x.row_stride = x.row_stride * byte_size(x.dtype, 1) / byte_size(dtype, 1);
  x.dtype = dtype;
  return x;
}

// y[r][c] = value, rounded where y is bf16: for references.
template <class T>
void put(const View& y, int64_t r, int64_t c, T value) {
  if (y.dtype == DType::kBF16) {
    y.row<uint16_t>(r)[c] = f32_to_bf16(static_cast<float>(value));
  } else {
    y.row<T>(r)[c] = value;
  }
}

}  // namespace fathom
