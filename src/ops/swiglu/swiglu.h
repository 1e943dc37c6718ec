// y = silu(gate) · up.                                               Shazeer 2020
// (arXiv:2002.05202), eq. 6
//   gate_up  [tokens, 2 · width]: gate in the first half of each row, up in the second     y
//   [tokens, width]
// Products alone read y and made gate_up, so y and the gradient of gate_up are operands
// (ops/operand.h). Backward keeps gate_up, from which y is made again.
#pragma once

#include "runtime/pass.h"

namespace fathom {

Tensor swiglu(Pass& pass, const Tensor& gate_up);

}  // namespace fathom
