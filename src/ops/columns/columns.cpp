#include "ops/columns/columns.h"

#include "runtime/elementwise.h"
#include "runtime/tape.h"

namespace fathom {

std::vector<Tensor> split_columns(Pass& pass, const Tensor& x, const std::vector<int64_t>& widths) {
  int64_t total = 0;
  for (int64_t width : widths) total += width;
  FATHOM_CHECK(total == x.cols(), "split_columns: the widths add up to ", total, " but x is ",
               x.shape());
  std::vector<Tensor> slices;
  int64_t begin = 0;
  for (int64_t width : widths) {
    slices.push_back(x.columns(begin, width));
    begin += width;
  }
  if (needs_grad(pass, {&x})) pass.tape->record_split("split_columns", x, slices);
  return slices;
}

Tensor concat_columns(Pass& pass, const Tensor& a, const Tensor& b) {
  FATHOM_CHECK(a.rows() == b.rows() && a.dtype() == b.dtype(), "concat_columns: a is ",
               info(a.dtype()).name, " ", a.shape(), " but b is ", info(b.dtype()).name, " ",
               b.shape(), "; they need equal rows and dtypes");
  Tensor y = pass.empty({a.rows(), a.cols() + b.cols()}, a.dtype());
  Tensor left = y.columns(0, a.cols()), right = y.columns(a.cols(), b.cols());
  copy_into(pass, a, left);
  copy_into(pass, b, right);
  if (!needs_grad(pass, {&a, &b})) return y;

  pass.tape->record("concat_columns", y,
                    [a = a.without_data(), b = b.without_data()](Pass& p, const Tensor& dy) {
                      p.tape->add_grad(p, a, dy.columns(0, a.cols()));
                      p.tape->add_grad(p, b, dy.columns(a.cols(), b.cols()));
                    });
  return y;
}

}  // namespace fathom
