// y = w · x / sqrt(mean(x²) + eps), over the last dimension.            Zhang & Sennrich 2019
// (arXiv:1910.07467), eq. 4
//   x  [tokens, width] (a column slice is fine)     w  [width]     y  [tokens, width]
// The weight multiplies in f32 and rounds once (text-model order "newer official"). Backward keeps
// x and 1/rms [tokens].
#pragma once

#include "runtime/parameter.h"

namespace fathom {

// What reads a result: one that products alone read is kept as they round it (ops/operand.h).
enum class ReadBy { kAnyOp, kProducts };

Tensor rms_norm(Pass& pass, const Tensor& x, const Parameter& weight, float eps,
                ReadBy read_by = ReadBy::kAnyOp);

}  // namespace fathom
