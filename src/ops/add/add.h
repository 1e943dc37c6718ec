// y = a + b, the residual connection. Equal shapes. Backward hands dy to both.
#pragma once

#include "runtime/pass.h"

namespace fathom {

Tensor add(Pass& pass, const Tensor& a, const Tensor& b);

}  // namespace fathom
