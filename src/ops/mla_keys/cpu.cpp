// MLA's keys on the CPU: moves of short stretches, and one short sum over heads. Limited by memory.
#include "ops/mla_keys/kernels.h"
#include "ops/parallel.h"
#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/mla_keys/cpu.cpp"
#include <hwy/foreach_target.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom {
namespace HWY_NAMESPACE {

HWY_INLINE void move(const float* from, float* to, int64_t count) {
  map(from, to, count, [](VF32 x) HWY_ATTR { return x; });
}

void mla_keys_row(const float* kv, const float* k_rope, float* k, float* v,
                  const MlaWidths& width) {
  for (int64_t h = 0; h < width.heads; ++h) {
    move(kv, k, width.nope);
    move(k_rope, k + width.nope, width.rope);
    move(kv + width.nope, v, width.value);
    kv += width.nope + width.value;
    k += width.nope + width.rope;
    v += width.value;
  }
}

// The sum of one vector of columns over heads, in ascending order.
template <class Load>
HWY_INLINE VF32 sum_heads(const float* dk, const MlaWidths& width, const Load& load) {
  VF32 sum = load(dk);
  for (int64_t h = 1; h < width.heads; ++h) {
    sum = hn::Add(sum, load(dk + h * (width.nope + width.rope)));
  }
  return sum;
}

void mla_keys_backward_row(const float* dk, const float* dv, float* dkv, float* dk_rope,
                           const MlaWidths& width) {
  const F32 d;
  for (int64_t h = 0; h < width.heads; ++h) {
    float* to = dkv + h * (width.nope + width.value);
    move(dk + h * (width.nope + width.rope), to, width.nope);
    move(dv + h * width.value, to + width.nope, width.value);
  }
  const float* rotary = dk + width.nope;
  for_each_vector(
      width.rope,
      [&](int64_t i) HWY_ATTR {
        const VF32 sum =
            sum_heads(rotary + i, width, [&](const float* x) HWY_ATTR { return hn::LoadU(d, x); });
        hn::StoreU(sum, d, dk_rope + i);
      },
      [&](int64_t i, int64_t n) HWY_ATTR {
        const VF32 sum =
            sum_heads(rotary + i, width, [&](const float* x) HWY_ATTR { return load_part(x, n); });
        store_part(sum, dk_rope + i, n);
      });
}

}  // namespace HWY_NAMESPACE
}  // namespace fathom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::cpu {

HWY_EXPORT(mla_keys_row);
HWY_EXPORT(mla_keys_backward_row);

void mla_keys(Stream* stream, ConstView kv, ConstView k_rope, int64_t heads, View k, View v) {
  if (kv.dtype != DType::kF32) return reference::mla_keys(stream, kv, k_rope, heads, k, v);
  const MlaWidths width{heads, k.cols() / heads - k_rope.cols(), k_rope.cols(), v.cols() / heads};
  const auto row = HWY_DYNAMIC_DISPATCH(mla_keys_row);
  for_each_piece(kv.rows(), piece_rows(k.cols() + v.cols()), k.cols() + v.cols(),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t t = begin; t < end; ++t) {
                     row(kv.row<float>(t), k_rope.row<float>(t), k.row<float>(t), v.row<float>(t),
                         width);
                   }
                 });
}

void mla_keys_backward(Stream* stream, ConstView dk, ConstView dv, int64_t heads, View dkv,
                       View dk_rope) {
  if (dk.dtype != DType::kF32) {
    return reference::mla_keys_backward(stream, dk, dv, heads, dkv, dk_rope);
  }
  const MlaWidths width{heads, dk.cols() / heads - dk_rope.cols(), dk_rope.cols(),
                        dv.cols() / heads};
  const auto row = HWY_DYNAMIC_DISPATCH(mla_keys_backward_row);
  for_each_piece(dk.rows(), piece_rows(dk.cols() + dv.cols()), dk.cols() + dv.cols(),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t t = begin; t < end; ++t) {
                     row(dk.row<float>(t), dv.row<float>(t), dkv.row<float>(t),
                         dk_rope.row<float>(t), width);
                   }
                 });
}

}  // namespace fathom::cpu
#endif  // HWY_ONCE
