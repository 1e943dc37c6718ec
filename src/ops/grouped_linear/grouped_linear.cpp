#include "ops/grouped_linear/grouped_linear.h"

#include "ops/input_gradient.h"
#include "ops/kernel_table.h"
#include "ops/operand.h"
#include "ops/packed_weight/packed_weight.h"

namespace fathom {
namespace {

void check(const Pass& pass, const Tensor& rows, const Tensor& offsets, const Parameter& weight) {
  const Shape& shape = weight.shape();
  FATHOM_CHECK(shape.rank() == 3 && shape[2] == rows.cols(), "grouped_linear: weight ", weight.name,
               " is ", shape, ", expected [groups, out, in] with in = ", rows.cols(),
               ", the last dim of rows ", rows.shape());
  const DType dtype = weight.dtype();
  FATHOM_CHECK(dtype == rows.dtype() || rows.dtype() == operand_dtype(pass, dtype),
               "grouped_linear: weight ", weight.name, " is ", info(dtype).name, " but rows are ",
               info(rows.dtype()).name, "; convert one of them");
  FATHOM_CHECK(offsets.shape() == Shape{shape[0] + 1} && offsets.dtype() == DType::kI32,
               "grouped_linear: offsets are ", info(offsets.dtype()).name, " ", offsets.shape(),
               ", expected i32 [groups + 1] for weight ", weight.name, " ", shape);
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

// Every group has as many parts; the i-th of each gives the same columns of y.
void multiply_stored(Pass& pass, const Tensor& rows, const Tensor& offsets, const Parameter& weight,
                     const View& y) {
  const auto groups = static_cast<size_t>(weight.shape()[0]);
  const size_t parts = weight.parts.size() / groups;
  std::vector<ConstView> matrices(groups);
  for (size_t i = 0; i < parts; ++i) {
    for (size_t g = 0; g < groups; ++g) matrices[g] = weight.stored.parts[g * parts + i];
    pass.kernels.grouped_stored(pass.stream, rows.read(), offsets.read(), matrices,
                                y.columns(weight.parts[i].row_begin, matrices[0].rows()));
  }
}

}  // namespace

Tensor grouped_linear(Pass& pass, const Tensor& rows, const Tensor& offsets,
                      const Parameter& weight) {
  check(pass, rows, offsets, weight);
  Tensor y = pass.empty({rows.rows(), weight.shape()[1]}, weight.dtype());
  if (weight.stored) {
    multiply_stored(pass, rows, offsets, weight, y.write());
  } else if (const ConstView packed = packed_weight(pass, weight)) {
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
