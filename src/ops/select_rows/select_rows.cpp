#include "ops/select_rows/select_rows.h"

#include <algorithm>

#include "ops/kernel_table.h"
#include "runtime/tape.h"

namespace fathom {

Tensor index_tensor(Pass& pass, std::span<const int32_t> values) {
  Tensor index = pass.empty({static_cast<int64_t>(values.size())}, DType::kI32);
  std::copy(values.begin(), values.end(), index.mutable_data<int32_t>());
  return index;
}

Tensor select_rows(Pass& pass, const Tensor& x, std::span<const int32_t> index) {
  for (size_t i = 0; i < index.size(); ++i) {
    FATHOM_CHECK(index[i] >= 0 && index[i] < x.rows() && (i == 0 || index[i - 1] < index[i]),
                 "select_rows: index ", i, " is ", index[i],
                 (i == 0 ? "" : concat(" after ", index[i - 1])), "; expected ascending rows of ",
                 x.shape());
  }
  const auto rows = static_cast<int64_t>(index.size());
  if (rows == x.rows()) return x;  // ascending and distinct: every row

  const Tensor chosen = index_tensor(pass, index);
  Tensor y = pass.empty({rows, x.cols()}, x.dtype());
  pass.kernels.gather_rows(pass.stream, x.read(), chosen.read(), y.write());
  if (!needs_grad(pass, {&x})) return y;

  pass.tape->record(
      "select_rows", y, [x = x.without_data(), chosen = Saved(chosen)](Pass& p, const Tensor& dy) {
        bool accumulate = false;
        Tensor dx = p.tape->grad_target(p, x, accumulate);
        if (accumulate) {
          p.kernels.scatter_add_rows(p.stream, dy.read(), chosen.get("select_rows").read(),
                                     dx.write());
        } else {
          fill_zero(p, dx);
          p.kernels.scatter_rows(p.stream, dy.read(), chosen.get("select_rows").read(), dx.write());
        }
      });
  return y;
}

}  // namespace fathom
