// Keys of MLA from the expanded latent, element by element.
#include "ops/mla_keys/kernels.h"

namespace fathom::reference {

void mla_keys(Stream*, ConstView kv, ConstView k_rope, int64_t heads, View k, View v) {
  dispatch_float(kv.dtype, "mla_keys", [&](auto zero) {
    using T = decltype(zero);
    const int64_t rope = k_rope.cols(), value = v.cols() / heads, nope = k.cols() / heads - rope;
    for (int64_t t = 0; t < kv.rows(); ++t) {
      for (int64_t h = 0; h < heads; ++h) {
        const T* from = kv.row<T>(t) + h * (nope + value);
        T* key = k.row<T>(t) + h * (nope + rope);
        for (int64_t c = 0; c < nope; ++c) key[c] = from[c];
        for (int64_t c = 0; c < rope; ++c) key[nope + c] = k_rope.row<T>(t)[c];
        for (int64_t c = 0; c < value; ++c) v.row<T>(t)[h * value + c] = from[nope + c];
      }
    }
  });
}

void mla_keys_backward(Stream*, ConstView dk, ConstView dv, int64_t heads, View dkv, View dk_rope) {
  dispatch_float(dk.dtype, "mla_keys_backward", [&](auto zero) {
    using T = decltype(zero);
    const int64_t rope = dk_rope.cols(), value = dv.cols() / heads, nope = dk.cols() / heads - rope;
    for (int64_t t = 0; t < dk.rows(); ++t) {
      for (int64_t h = 0; h < heads; ++h) {
        const T* dkey = dk.row<T>(t) + h * (nope + rope);
        T* to = dkv.row<T>(t) + h * (nope + value);
        for (int64_t c = 0; c < nope; ++c) to[c] = dkey[c];
        for (int64_t c = 0; c < value; ++c) to[nope + c] = dv.row<T>(t)[h * value + c];
      }
      for (int64_t c = 0; c < rope; ++c) {
        double sum = 0;
        for (int64_t h = 0; h < heads; ++h)
          sum += static_cast<double>(dk.row<T>(t)[h * (nope + rope) + nope + c]);
        dk_rope.row<T>(t)[c] = static_cast<T>(sum);
      }
    }
  });
}

}  // namespace fathom::reference
