#include <cmath>

#include "ops/adamw/kernels.h"

namespace fathom::reference {

void adamw(Stream*, View value, ConstView grad, View m, View v, const AdamWStep& step) {
  dispatch_float(value.dtype, "adamw", [&](auto zero) {
    using T = decltype(zero);
    const T keep = static_cast<T>(1 - step.lr * step.weight_decay);
    const T beta1 = static_cast<T>(step.beta1), rest1 = static_cast<T>(1 - step.beta1);
    const T beta2 = static_cast<T>(step.beta2), rest2 = static_cast<T>(1 - step.beta2);
    const T step_size = static_cast<T>(step.lr / step.correction1);
    const T root_correction2 = static_cast<T>(std::sqrt(step.correction2));
    const T eps = static_cast<T>(step.eps), scale = static_cast<T>(step.grad_scale);
    T* p = value.row<T>(0);
    T* mean = m.row<T>(0);
    T* square = v.row<T>(0);
    for (int64_t i = 0; i < value.shape.elements(); ++i) {
      const T g = grad ? grad.row<T>(0)[i] * scale : T{0};
      p[i] *= keep;
      mean[i] = beta1 * mean[i] + rest1 * g;
      square[i] = beta2 * square[i] + rest2 * g * g;
      p[i] -= step_size * (mean[i] / (std::sqrt(square[i]) / root_correction2 + eps));
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
