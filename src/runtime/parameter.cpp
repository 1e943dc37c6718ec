#include "runtime/parameter.h"

#include <algorithm>

namespace fathom {

void ParameterGrad::clear() {
  filled = false;
  std::fill(live.begin(), live.end(), uint8_t{0});
}

ConstView Parameter::whole() const {
  if (!stored) return value.read();
  FATHOM_CHECK(stored.parts.size() == 1, "parameter ", name, " is stored in ", stored.parts.size(),
               " parts; one is expected where all its rows are read at once");
  return stored.parts.front();
}

Tensor Parameter::grad_target(Pass& pass, bool& accumulate) const {
  FATHOM_CHECK(grad != nullptr && value, "parameter ", name, " is frozen and has no gradient");
  if (!grad->value) grad->value = pass.empty(value.shape(), value.dtype());
  accumulate = grad->filled;
  grad->filled = true;
  return grad->value;
}

Tensor Parameter::expert_grad_target(Pass& pass) const {
  bool accumulate = false;
  Tensor target = grad_target(pass, accumulate);
  grad->live.resize(static_cast<size_t>(value.dim(0)));
  return target;
}

}  // namespace fathom
