// Splitting a matrix into column slices (views, no copy) and joining matrices side by side (a
// copy).
//   split:  x [tokens, w0 + w1 + …] -> slices [tokens, w_i]; their gradients share one buffer,
//   which becomes dx concat: a [tokens, w0], b [tokens, w1] -> [tokens, w0 + w1]
#pragma once

#include <vector>

#include "runtime/pass.h"

namespace fathom {

std::vector<Tensor> split_columns(Pass& pass, const Tensor& x, const std::vector<int64_t>& widths);
Tensor concat_columns(Pass& pass, const Tensor& a, const Tensor& b);

}  // namespace fathom
