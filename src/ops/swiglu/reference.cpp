#include <cmath>

#include "ops/operand.h"
#include "ops/swiglu/kernels.h"

namespace fathom::reference {
namespace {

// 1 / (1 + e^-x). For x far below zero e^-x is infinite and the quotient 0, as it should be.
template <class T>
T sigmoid(T x) {
  return T{1} / (T{1} + std::exp(-x));
}

}  // namespace

void swiglu(Stream*, ConstView gate_up, View y) {
  dispatch_float(gate_up.dtype, "swiglu", [&](auto zero) {
    using T = decltype(zero);
    for (int64_t r = 0; r < y.rows(); ++r) {
      const T* gate = gate_up.row<T>(r);
      const T* up = gate + y.cols();
      for (int64_t c = 0; c < y.cols(); ++c) put(y, r, c, gate[c] * sigmoid(gate[c]) * up[c]);
    }
  });
}

// silu'(g) = s · (1 + g · (1 − s)) with s = sigmoid(g)
void swiglu_backward(Stream*, ConstView gate_up, ConstView dy, View dgate_up) {
  dispatch_float(gate_up.dtype, "swiglu_backward", [&](auto zero) {
    using T = decltype(zero);
    const int64_t width = dy.cols();
    for (int64_t r = 0; r < dy.rows(); ++r) {
      const T* gate = gate_up.row<T>(r);
      const T* up = gate + width;
      const T* in = dy.row<T>(r);
      for (int64_t c = 0; c < width; ++c) {
        const T s = sigmoid(gate[c]);
        put(dgate_up, r, c, in[c] * up[c] * s * (T{1} + gate[c] * (T{1} - s)));
        put(dgate_up, r, width + c, in[c] * gate[c] * s);
      }
    }
  });
}

}  // namespace fathom::reference
