// What the Highway kernels share: loops over rows of any length, whose last vector is a partial
// one.
//
// Included once per instruction set, after hwy/foreach_target.h. A lane computes the same in a full
// and in a partial vector, and partial vectors never touch memory outside the row.

// Per-target include guard.
#if defined(FATHOM_OPS_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FATHOM_OPS_SIMD_INL_H_
#undef FATHOM_OPS_SIMD_INL_H_
#else
#define FATHOM_OPS_SIMD_INL_H_
#endif

#include <hwy/highway.h>

#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace fathom {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using F32 = hn::ScalableTag<float>;
using VF32 = hn::Vec<F32>;

inline int64_t lanes() { return static_cast<int64_t>(hn::Lanes(F32())); }

// The first `count` < lanes elements; the other lanes are 0.
HWY_INLINE VF32 load_part(const float* from, int64_t count) {
  const F32 d;
#if HWY_TARGET == HWY_EMU128
  HWY_ALIGN float buffer[HWY_MAX_BYTES / sizeof(float)] = {};
  for (int64_t i = 0; i < count; ++i) buffer[i] = from[i];
  return hn::Load(d, buffer);
#else
  return hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(count)), d, from);
#endif
}

HWY_INLINE void store_part(VF32 value, float* to, int64_t count) {
  const F32 d;
  hn::BlendedStore(value, hn::FirstN(d, static_cast<size_t>(count)), d, to);
}

// Rounded to bf16, nearest even; NaN stays NaN (f32_to_bf16 of base/float_bits.h).
using VBF16 = hn::Vec<hn::Rebind<uint16_t, F32>>;
HWY_INLINE VBF16 round_to_bf16(VF32 value) {
  const hn::RebindToUnsigned<F32> du;
  const auto bits = hn::BitCast(du, value);
  const auto high = hn::ShiftRight<16>(bits);
  const auto odd = hn::And(high, hn::Set(du, 1));
  const auto nearest = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7fff))));
  const auto nan = hn::RebindMask(du, hn::IsNaN(value));
  const auto rounded = hn::IfThenElse(nan, hn::Or(high, hn::Set(du, 0x40)), nearest);
  return hn::DemoteTo(hn::Rebind<uint16_t, F32>(), hn::BitCast(hn::RebindToSigned<F32>(), rounded));
}

// A whole vector to an f32 or a bf16 row.
HWY_INLINE void store(VF32 value, float* to) { hn::StoreU(value, F32(), to); }
HWY_INLINE void store(VF32 value, uint16_t* to) {
  hn::StoreU(round_to_bf16(value), hn::Rebind<uint16_t, F32>(), to);
}
HWY_INLINE void store_part(VF32 value, uint16_t* to, int64_t count) {
  HWY_ALIGN uint16_t buffer[HWY_MAX_BYTES / sizeof(float)];
  store(value, buffer);
  for (int64_t i = 0; i < count; ++i) to[i] = buffer[i];
}

// Calls full(i) for each whole vector at element i, then part(i, n) for the n elements left over.
template <class Full, class Part>
HWY_INLINE void for_each_vector(int64_t count, const Full& full, const Part& part) {
  const int64_t step = lanes();
  int64_t i = 0;
  for (; i + step <= count; i += step) full(i);
  if (i < count) part(i, count - i);
}

// How many floats ahead of their use operands are fetched, into the rows after this one too: the
// hardware stops at the end of each page.
constexpr int64_t kAhead = 256;

// y[i] = fn(a[i]) and y[i] = fn(a[i], b[i]), y f32 or bf16; an f32 y may be a or b.
template <class Y, class Fn>
HWY_INLINE void map(const float* a, Y* y, int64_t count, const Fn& fn) {
  const F32 d;
  for_each_vector(
      count,
      [&](int64_t i) HWY_ATTR {
        __builtin_prefetch(a + i + kAhead);
        __builtin_prefetch(y + i + kAhead, 1);
        store(fn(hn::LoadU(d, a + i)), y + i);
      },
      [&](int64_t i, int64_t n) HWY_ATTR { store_part(fn(load_part(a + i, n)), y + i, n); });
}

template <class Y, class Fn>
HWY_INLINE void map(const float* a, const float* b, Y* y, int64_t count, const Fn& fn) {
  const F32 d;
  for_each_vector(
      count,
      [&](int64_t i) HWY_ATTR {
        __builtin_prefetch(a + i + kAhead);
        __builtin_prefetch(b + i + kAhead);
        __builtin_prefetch(y + i + kAhead, 1);
        store(fn(hn::LoadU(d, a + i), hn::LoadU(d, b + i)), y + i);
      },
      [&](int64_t i, int64_t n)
          HWY_ATTR { store_part(fn(load_part(a + i, n), load_part(b + i, n)), y + i, n); });
}

// The sum of add(accumulator, i) over whole vectors and add_part(accumulator, i, n) over what is
// left. Four accumulators hide the latency of the addition; their order depends on `count` alone.
template <class V, class Add, class AddPart>
HWY_INLINE V sum_vectors(int64_t count, V zero, const Add& add, const AddPart& add_part) {
  const int64_t step = lanes();
  V s0 = zero, s1 = zero, s2 = zero, s3 = zero;
  int64_t i = 0;
  for (; i + 4 * step <= count; i += 4 * step) {
    s0 = add(s0, i);
    s1 = add(s1, i + step);
    s2 = add(s2, i + 2 * step);
    s3 = add(s3, i + 3 * step);
  }
  for (; i + step <= count; i += step) s0 = add(s0, i);
  if (i < count) s1 = add_part(s1, i, count - i);
  return hn::Add(hn::Add(s0, s1), hn::Add(s2, s3));
}

}  // namespace HWY_NAMESPACE
}  // namespace fathom
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
