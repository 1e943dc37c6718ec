// y_i = x[index_i] for distinct, host-known rows: the rows that a multi-token head or a loss reads.
//   x  [tokens, width]     index  [rows], ascending and distinct     y  [rows, width]
// Backward scatters dy; rows that were not selected get zero.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/pass.h"

namespace fathom {

// Selecting all rows returns x itself.
Tensor select_rows(Pass& pass, const Tensor& x, std::span<const int32_t> index);

// A [n] i32 tensor holding these values: how host-known indices and offsets reach kernels.
Tensor index_tensor(Pass& pass, std::span<const int32_t> values);

}  // namespace fathom
