#include "ops/rms_norm/rms_norm.h"

#include "ops/kernel_table.h"
#include "ops/operand.h"
#include "runtime/tape.h"

namespace fathom {

Tensor rms_norm(Pass& pass, const Tensor& x, const Parameter& weight, float eps, ReadBy read_by) {
  FATHOM_CHECK(weight.value.shape().rank() == 1 && weight.value.dim(0) == x.cols(),
               "rms_norm: weight ", weight.name, " is ", weight.value.shape(), " but x is ",
               x.shape(), "; the last dims must match. ",
               "Was this checkpoint made with another hidden_size?");
  FATHOM_CHECK(weight.value.dtype() == x.dtype(), "rms_norm: weight ", weight.name, " is ",
               info(weight.value.dtype()).name, " but x is ", info(x.dtype()).name);
  const DType dtype = read_by == ReadBy::kProducts ? operand_dtype(pass, x.dtype()) : x.dtype();
  Tensor y = pass.empty(x.shape(), dtype);
  Tensor inv_rms = pass.empty({x.rows()}, x.dtype());
  pass.kernels.rms_norm(pass.stream, x.read(), weight.value.read(), eps, y.write(),
                        inv_rms.write());
  if (!needs_grad(pass, {&x}) && !weight.wants_grad(pass)) return y;

  pass.tape->record(
      "rms_norm", y, [x = Saved(x), inv_rms = Saved(inv_rms), &weight](Pass& p, const Tensor& dy) {
        const Tensor& in = x.get("rms_norm");
        bool accumulate_dx = false, accumulate_dw = false;
        Tensor dx = p.tape->grad_target(p, in, accumulate_dx);
        Tensor dw = weight.wants_grad(p) ? weight.grad_target(p, accumulate_dw) : Tensor();
        p.kernels.rms_norm_backward(p.stream, in.read(), weight.value.read(),
                                    inv_rms.get("rms_norm").read(), dy.read(), dx.write(),
                                    accumulate_dx, dw.write(), accumulate_dw);
      });
  return y;
}

}  // namespace fathom
