// Where a backward kernel that only overwrites may leave the gradient of one input: in the gradient
// itself while that is the first contribution, else in memory of its own that finish() adds.
// One tensor may be several inputs: then only the first writes directly.
#pragma once

#include "runtime/tape.h"

namespace fathom {

class InputGradient {
 public:
  InputGradient(Pass& pass, const Tensor& x) : x_(x) {
    direct_ = x.slot() != nullptr && !x.slot()->grad;
    bool accumulate = false;
    place_ = direct_ ? pass.tape->grad_target(pass, x, accumulate)
                     : pass.empty(x.shape(), gradient_dtype(x.dtype()));
  }
  View view() { return place_.write(); }
  void finish(Pass& pass) {
    if (!direct_) pass.tape->add_grad(pass, x_, place_);
    place_ = Tensor();  // the gradient has one owner again, so that the next addition needs no copy
  }

 private:
  Tensor x_, place_;
  bool direct_ = false;
};

}  // namespace fathom
