// y = silu(gate) · up.                                               Shazeer 2020
// (arXiv:2002.05202), eq. 6
//   gate_up  [tokens, 2 · width]: gate in the first half of each row, up in the second     y
//   [tokens, width]
// Backward keeps gate_up, from which y is made again for the product that reads it.
#pragma once

#include "runtime/pass.h"

namespace fathom {

Tensor swiglu(Pass& pass, const Tensor& gate_up);

}  // namespace fathom
