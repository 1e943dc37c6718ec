#include "runtime/elementwise.h"

#include <algorithm>

namespace fathom {

void fill_zero(Pass& pass, Tensor& x) {
  basic_kernels(pass.kernels).fill_zero(pass.stream, x.write());
}

void copy_into(Pass& pass, const Tensor& x, Tensor& y) {
  basic_kernels(pass.kernels).copy(pass.stream, x.read(), y.write());
}

void add_into(Pass& pass, const Tensor& x, Tensor& y) {
  basic_kernels(pass.kernels).accumulate(pass.stream, x.read(), y.write());
}

void fill_ones(Tensor& x) {
  dispatch_float(x.dtype(), "fill_ones", [&](auto zero) {
    using T = decltype(zero);
    std::fill_n(x.mutable_data<T>(), x.shape().elements(), T{1});
  });
}

Tensor Pass::zeros(const Shape& shape, DType dtype) {
  Tensor x = empty(shape, dtype);
  fill_zero(*this, x);
  return x;
}

void PassStats::add_expert_counts(size_t layer, const std::vector<int64_t>& counts) {
  if (expert_counts.size() <= layer) expert_counts.resize(layer + 1);
  std::vector<int64_t>& sum = expert_counts[layer];
  sum.resize(counts.size());
  for (size_t i = 0; i < counts.size(); ++i) sum[i] += counts[i];
}

}  // namespace fathom
