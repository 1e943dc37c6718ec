// Each row meets the weight of its group: y_r = W[g(r)] · x_r, the linear layer of routed experts.
//   rows  [assignments, in], sorted by group     offsets  [groups + 1] i32: group g owns rows
//   offsets[g] … offsets[g+1] − 1 W  [groups, out, in]     y  [assignments, out]
// Backward keeps rows, or makes them again (GradSlot::remake); groups without rows cost no work:
//   drows = dy · W[g],  dW[g] += dy_gᵀ · rows_g
#pragma once

#include "runtime/parameter.h"

namespace fathom {

Tensor grouped_linear(Pass& pass, const Tensor& rows, const Tensor& offsets,
                      const Parameter& weight);

}  // namespace fathom
