#include "ops/add/add.h"

#include "ops/kernel_table.h"
#include "runtime/tape.h"

namespace fathom {

Tensor add(Pass& pass, const Tensor& a, const Tensor& b) {
  FATHOM_CHECK(a.shape() == b.shape() && a.dtype() == b.dtype(), "add: a is ", info(a.dtype()).name,
               " ", a.shape(), " but b is ", info(b.dtype()).name, " ", b.shape(),
               "; they must be equal");
  Tensor y = pass.empty(a.shape(), a.dtype());
  pass.kernels.add(pass.stream, a.read(), b.read(), y.write());
  if (!needs_grad(pass, {&a, &b})) return y;

  pass.tape->record("add", y,
                    [a = a.without_data(), b = b.without_data()](Pass& p, const Tensor& dy) {
                      p.tape->add_grad(p, a, dy);
                      p.tape->add_grad(p, b, dy);
                    });
  return y;
}

}  // namespace fathom
