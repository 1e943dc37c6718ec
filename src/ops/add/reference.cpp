#include "ops/add/kernels.h"

namespace fathom::reference {

void add(Stream*, ConstView a, ConstView b, View y) {
  dispatch_float(a.dtype, "add", [&](auto zero) {
    using T = decltype(zero);
    for (int64_t r = 0; r < y.rows(); ++r) {
      for (int64_t c = 0; c < y.cols(); ++c) y.row<T>(r)[c] = a.row<T>(r)[c] + b.row<T>(r)[c];
    }
  });
}

}  // namespace fathom::reference
