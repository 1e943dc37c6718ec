// The rotation pair by pair: (a, b) becomes (a cos − b sin, b cos + a sin).
#include "ops/rope/kernels.h"

namespace fathom::reference {

void rope(Stream*, View x, ConstView cos, ConstView sin, const RopeShape& shape, bool inverse) {
  dispatch_float(x.dtype, "rope", [&](auto zero) {
    using T = decltype(zero);
    const int64_t pairs = shape.dim / 2;
    for (int64_t t = 0; t < x.rows(); ++t) {
      for (int64_t h = 0; h < shape.heads; ++h) {
        T* part = x.row<T>(t) + h * shape.head_dim + shape.begin;
        for (int64_t i = 0; i < pairs; ++i) {
          T& first = part[shape.interleaved ? 2 * i : i];
          T& second = part[shape.interleaved ? 2 * i + 1 : i + pairs];
          const double a = static_cast<double>(first), b = static_cast<double>(second);
          const double c = static_cast<double>(cos.row<T>(t)[i]);
          const double s = static_cast<double>(sin.row<T>(t)[i]) * (inverse ? -1 : 1);
          first = static_cast<T>(a * c - b * s);
          second = static_cast<T>(b * c + a * s);
        }
      }
    }
  });
}

}  // namespace fathom::reference
