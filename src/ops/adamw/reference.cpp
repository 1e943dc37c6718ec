#include <cmath>

#include "ops/adamw/kernels.h"

namespace fathom::reference {

void adamw(Stream*, View value, ConstView grad, View m, View v, const AdamWStep& step) {
  dispatch_float(value.dtype, "adamw", [&](auto zero) {
    using T = decltype(zero);
    const AdamWFactors<T> f(step);
    T* p = value.row<T>(0);
    T* mean = m.row<T>(0);
    T* square = v.row<T>(0);
    for (int64_t i = 0; i < value.shape.elements(); ++i) {
      const T g = grad ? grad.row<T>(0)[i] * f.scale : T{0};
      p[i] *= f.keep;
      mean[i] = f.beta1 * mean[i] + f.rest1 * g;
      square[i] = f.beta2 * square[i] + f.rest2 * g * g;
      p[i] -= f.step_size * (mean[i] / (std::sqrt(square[i]) / f.root_correction2 + f.eps));
    }
  });
}

double sum_squares(Stream*, ConstView x) {
  double sum = 0;
  dispatch_float(x.dtype, "sum_squares", [&](auto zero) {
    using T = decltype(zero);
    for (int64_t r = 0; r < x.rows(); ++r) {
      for (int64_t c = 0; c < x.cols(); ++c)
        sum += static_cast<double>(x.row<T>(r)[c]) * static_cast<double>(x.row<T>(r)[c]);
    }
  });
  return sum;
}

}  // namespace fathom::reference
