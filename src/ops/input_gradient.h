// Where a backward kernel that only overwrites may leave the gradient of one input: in the gradient
// itself while that is the first contribution, else in memory of its own that finish() adds.
#pragma once

#include "runtime/elementwise.h"
#include "runtime/tape.h"

namespace fathom {

class InputGradient {
 public:
  InputGradient(Pass& pass, const Tensor& x) {
    target_ = pass.tape->grad_target(pass, x, added_later_);
    place_ = added_later_ || !target_ ? pass.empty(x.shape(), x.dtype()) : target_;
  }
  View view() { return place_.write(); }
  void finish(Pass& pass) {
    if (added_later_) add_into(pass, place_, target_);
  }

 private:
  Tensor target_, place_;  // no target: a constant, whose gradient nobody reads
  bool added_later_ = false;
};

}  // namespace fathom
