// y = x · Wᵀ (+ b), the linear layer.
//   x  [tokens, in]     W  [out, in]     b  [out] or null     y  [tokens, out]     f32 (f64 in
//   gradient checks)
// Backward keeps x, or makes it again (GradSlot::remake):
//   dx = dy · W,  dW += dyᵀ · x,  db += column sums of dy
#pragma once

#include "runtime/parameter.h"

namespace fathom {

enum class Operands {
  kAsDevice,  // rounded to bf16 on a device of that precision
  kExact,     // never rounded: router logits
};

Tensor linear(Pass& pass, const Tensor& x, const Parameter& weight, const Parameter* bias = nullptr,
              Operands operands = Operands::kAsDevice);

}  // namespace fathom
