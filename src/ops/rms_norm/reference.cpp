#include <cmath>

#include "ops/operand.h"
#include "ops/rms_norm/kernels.h"

namespace fathom::reference {
namespace {

// dx_j = inv · (w_j dy_j − x_j inv² · mean(x · w · dy))
template <class T>
void backward_row(const T* x, const T* w, T inv, const T* dy, int64_t cols, T* dx,
                  bool accumulate) {
  double dot = 0;
  for (int64_t c = 0; c < cols; ++c)
    dot += static_cast<double>(x[c]) * static_cast<double>(w[c]) * static_cast<double>(dy[c]);
  const double rms = static_cast<double>(inv);
  const double mean = dot / static_cast<double>(cols) * rms * rms;
  for (int64_t c = 0; c < cols; ++c) {
    const double value = rms * (static_cast<double>(w[c]) * static_cast<double>(dy[c]) -
                                static_cast<double>(x[c]) * mean);
    dx[c] = static_cast<T>((accumulate ? static_cast<double>(dx[c]) : 0.0) + value);
  }
}

// dw_j = sum over rows of dy_j · x_j · inv
template <class T>
void weight_column(const ConstView& x, const ConstView& inv_rms, const ConstView& dy, int64_t c,
                   T* dw, bool accumulate) {
  double sum = accumulate ? static_cast<double>(dw[c]) : 0.0;
  for (int64_t r = 0; r < x.rows(); ++r) {
    sum += static_cast<double>(dy.row<T>(r)[c]) * static_cast<double>(x.row<T>(r)[c]) *
           static_cast<double>(inv_rms.row<T>(0)[r]);
  }
  dw[c] = static_cast<T>(sum);
}

}  // namespace

void rms_norm(Stream*, ConstView x, ConstView w, float eps, View y, View inv_rms) {
  dispatch_float(x.dtype, "rms_norm", [&](auto zero) {
    using T = decltype(zero);
    const T* weight = w.row<T>(0);
    for (int64_t r = 0; r < x.rows(); ++r) {
      const T* in = x.row<T>(r);
      double squares = 0;
      for (int64_t c = 0; c < x.cols(); ++c)
        squares += static_cast<double>(in[c]) * static_cast<double>(in[c]);
      const T inv = static_cast<T>(
          1 / std::sqrt(squares / static_cast<double>(x.cols()) + static_cast<double>(eps)));
      inv_rms.row<T>(0)[r] = inv;
      for (int64_t c = 0; c < x.cols(); ++c) put(y, r, c, weight[c] * (in[c] * inv));
    }
  });
}

void rms_norm_backward(Stream*, ConstView x, ConstView w, ConstView inv_rms, ConstView dy, View dx,
                       bool accumulate_dx, View dw, bool accumulate_dw) {
  dispatch_float(x.dtype, "rms_norm_backward", [&](auto zero) {
    using T = decltype(zero);
    if (dw) {
      for (int64_t c = 0; c < x.cols(); ++c)
        weight_column(x, inv_rms, dy, c, dw.row<T>(0), accumulate_dw);
    }
    if (!dx) return;
    for (int64_t r = 0; r < x.rows(); ++r) {
      backward_row(x.row<T>(r), w.row<T>(0), inv_rms.row<T>(0)[r], dy.row<T>(r), x.cols(),
                   dx.row<T>(r), accumulate_dx);
    }
  });
}

}  // namespace fathom::reference
