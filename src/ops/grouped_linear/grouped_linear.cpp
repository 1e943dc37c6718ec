#include "ops/grouped_linear/grouped_linear.h"

#include "ops/input_gradient.h"
#include "ops/kernel_table.h"
#include "ops/operand.h"
#include "ops/packed_weight/packed_weight.h"

namespace fathom {
namespace {

void check(const Pass& pass, const Tensor& rows, const Tensor& offsets, const Parameter& weight) {
  FATHOM_CHECK(weight.value.shape().rank() == 3 && weight.value.dim(2) == rows.cols(),
               "grouped_linear: weight ", weight.name, " is ", weight.value.shape(),
               ", expected [groups, out, in] with in = ", rows.cols(), ", the last dim of rows ",
               rows.shape());
  const DType dtype = weight.value.dtype();
  FATHOM_CHECK(dtype == rows.dtype() || rows.dtype() == operand_dtype(pass, dtype),
               "grouped_linear: weight ", weight.name, " is ", info(dtype).name, " but rows are ",
               info(rows.dtype()).name, "; convert one of them");
  FATHOM_CHECK(offsets.shape() == Shape{weight.value.dim(0) + 1} && offsets.dtype() == DType::kI32,
               "grouped_linear: offsets are ", info(offsets.dtype()).name, " ", offsets.shape(),
               ", expected i32 [groups + 1] for weight ", weight.name, " ", weight.value.shape());
}

// rows: the values are needed only where the weight is trained.
void backward(Pass& pass, const Saved& saved, const Tensor& offsets, const Parameter& weight,
              const Tensor& dy) {
  if (saved.handle().slot() != nullptr) {
    InputGradient drows(pass, saved.handle());
    pass.kernels.grouped_nn(pass.stream, dy.read(), offsets.read(), weight.value.read(),
                            drows.view());
    drows.finish(pass);
  }
  if (weight.wants_grad(pass)) {
    Tensor dw = weight.expert_grad_target(pass);
    const Tensor rows = saved.remade(pass, "grouped_linear");
    pass.kernels.grouped_tn(pass.stream, dy.read(), offsets.read(), rows.read(), dw.write(),
                            weight.grad->live.data());
  }
}

}  // namespace

Tensor grouped_linear(Pass& pass, const Tensor& rows, const Tensor& offsets,
                      const Parameter& weight) {
  check(pass, rows, offsets, weight);
  Tensor y = pass.empty({rows.rows(), weight.value.dim(1)}, weight.value.dtype());
  if (const ConstView packed = packed_weight(pass, weight)) {
    pass.kernels.grouped_packed(pass.stream, rows.read(), offsets.read(), packed, y.write());
  } else {
    pass.kernels.grouped_nt(pass.stream, rows.read(), offsets.read(), weight.value.read(),
                            y.write());
  }
  const bool trained = weight.wants_grad(pass);
  if (!needs_grad(pass, {&rows}) && !trained) return y;
  pass.tape->record("grouped_linear", y,
                    [rows = Saved::remakeable(trained ? rows : rows.without_data()),
                     offsets = Saved(offsets), &weight](Pass& p, const Tensor& dy) {
                      backward(p, rows, offsets.get("grouped_linear"), weight, dy);
                    });
  return y;
}

}  // namespace fathom
