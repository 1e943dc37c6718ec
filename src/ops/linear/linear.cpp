#include "ops/linear/linear.h"

#include "ops/kernel_table.h"
#include "ops/operand.h"
#include "ops/packed_weight/packed_weight.h"
#include "runtime/tape.h"

namespace fathom {
namespace {

void check(const Pass& pass, const Tensor& x, const Parameter& weight, const Parameter* bias,
           Operands operands) {
  const Shape& shape = weight.shape();
  FATHOM_CHECK(shape.rank() == 2 && shape[1] == x.cols(), "linear: weight ", weight.name, " is ",
               shape, ", expected [out, in] with in = ", x.cols(), ", the last dim of x ",
               x.shape(), "; was this checkpoint made with another hidden_size?");
  const DType dtype = weight.dtype();
  const bool rounded = operands == Operands::kAsDevice && x.dtype() == operand_dtype(pass, dtype);
  FATHOM_CHECK(dtype == x.dtype() || rounded, "linear: weight ", weight.name, " is ",
               info(dtype).name, " but x is ", info(x.dtype()).name, "; convert one of them");
  if (bias == nullptr) return;
  FATHOM_CHECK(bias->value.shape() == Shape{shape[0]}, "linear: bias ", bias->name, " is ",
               bias->value.shape(), ", expected [", shape[0], "] for weight ", weight.name, " ",
               shape);
  FATHOM_CHECK(bias->value.dtype() == dtype, "linear: bias ", bias->name, " is ",
               info(bias->value.dtype()).name, " but weight ", weight.name, " is ",
               info(dtype).name, "; convert one of them");
}

struct Products {
  void (*nt)(Stream*, ConstView a, ConstView b, View c, bool accumulate);
  void (*nn)(Stream*, ConstView a, ConstView b, View c, bool accumulate);
  void (*tn)(Stream*, ConstView a, ConstView b, View c, bool accumulate);
};

Products products(const KernelTable& table, Operands operands) {
  if (operands == Operands::kExact) {
    return {table.matmul_exact_nt, table.matmul_exact_nn, table.matmul_exact_tn};
  }
  return {table.matmul_nt, table.matmul_nn, table.matmul_tn};
}

// x: the values are needed only where the weight is trained.
void backward(Pass& pass, const Saved& saved, const Parameter& weight, const Parameter* bias,
              Operands operands, const Tensor& dy) {
  const Products product = products(pass.kernels, operands);
  bool accumulate = false;
  if (Tensor dx = pass.tape->grad_target(pass, saved.handle(), accumulate)) {
    product.nn(pass.stream, dy.read(), weight.value.read(), dx.write(), accumulate);
  }
  if (weight.wants_grad(pass)) {
    Tensor dw = weight.grad_target(pass, accumulate);
    product.tn(pass.stream, dy.read(), saved.remade(pass, "linear").read(), dw.write(), accumulate);
  }
  if (bias != nullptr && bias->wants_grad(pass)) {
    Tensor db = bias->grad_target(pass, accumulate);
    pass.kernels.bias_backward(pass.stream, dy.read(), db.write(), accumulate);
  }
}

// Each part gives the columns of y that are its rows.
void multiply_stored(Pass& pass, const Tensor& x, const Parameter& weight, const Products& product,
                     const View& y) {
  for (size_t i = 0; i < weight.parts.size(); ++i) {
    const ConstView& part = weight.stored.parts[i];
    product.nt(pass.stream, x.read(), part, y.columns(weight.parts[i].row_begin, part.rows()),
               false);
  }
}

}  // namespace

Tensor linear(Pass& pass, const Tensor& x, const Parameter& weight, const Parameter* bias,
              Operands operands) {
  check(pass, x, weight, bias, operands);
  Tensor y = pass.empty({x.rows(), weight.shape()[0]}, weight.dtype());
  const ConstView packed =
      operands == Operands::kAsDevice ? packed_weight(pass, weight) : ConstView{};
  if (weight.stored) {
    multiply_stored(pass, x, weight, products(pass.kernels, operands), y.write());
  } else if (packed) {
    pass.kernels.matmul_packed(pass.stream, x.read(), packed, y.write());
  } else {
    const Products product = products(pass.kernels, operands);
    product.nt(pass.stream, x.read(), weight.value.read(), y.write(), false);
  }
  if (bias != nullptr) pass.kernels.add_bias(pass.stream, bias->value.read(), y.write());

  const bool bias_trained = bias != nullptr && bias->wants_grad(pass);
  if (!needs_grad(pass, {&x}) && !weight.wants_grad(pass) && !bias_trained) return y;
  pass.tape->record(
      "linear", y,
      [x = Saved::remakeable(weight.wants_grad(pass) ? x : x.without_data()), &weight, bias,
       operands](Pass& p, const Tensor& dy) { backward(p, x, weight, bias, operands, dy); });
  return y;
}

}  // namespace fathom
