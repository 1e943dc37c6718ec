#include "ops/swiglu/swiglu.h"

#include "ops/kernel_table.h"
#include "ops/operand.h"
#include "runtime/tape.h"

namespace fathom {
namespace {

Tensor forward(Pass& pass, const Tensor& gate_up) {
  Tensor y = pass.empty({gate_up.rows(), gate_up.cols() / 2}, operand_dtype(pass, gate_up.dtype()));
  pass.kernels.swiglu(pass.stream, gate_up.read(), y.write());
  return y;
}

}  // namespace

Tensor swiglu(Pass& pass, const Tensor& gate_up) {
  FATHOM_CHECK(gate_up.cols() % 2 == 0, "swiglu: gate_up is ", gate_up.shape(),
               "; expected an even last dim, gate and up side by side");
  Tensor y = forward(pass, gate_up);
  if (!needs_grad(pass, {&gate_up})) return y;

  pass.tape->record("swiglu", y, [gate_up = Saved(gate_up)](Pass& p, const Tensor& dy) {
    const Tensor& in = gate_up.get("swiglu");
    Tensor dgate_up = p.empty(in.shape(), operand_dtype(p, in.dtype()));
    p.kernels.swiglu_backward(p.stream, in.read(), dy.read(), dgate_up.write());
    p.tape->add_grad(p, in, dgate_up);
  });
  y.slot()->remake = [gate_up = Saved(gate_up)](Pass& p) {
    return forward(p, gate_up.get("swiglu"));
  };
  return y;
}

}  // namespace fathom
