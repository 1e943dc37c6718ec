// Exponentials of f32 vectors for Highway kernels, within about one unit in the last place.
//
// x is split into n + f with |f| <= 1/2 (in powers of two), 2^f is a polynomial of degree 6 whose
// value at 0 is exactly 1 (minimax on the relative error, 2.0e-9), and n goes into the exponent.
// Measured over every tenth float of the range: 0.94 units for exp2, 1.03 for exp. Results that
// would be subnormal come out as 2^-126; a NaN stays one.
// Included once per instruction set, after hwy/foreach_target.h.

// Per-target include guard.
#if defined(FATHOM_OPS_VECTOR_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FATHOM_OPS_VECTOR_MATH_INL_H_
#undef FATHOM_OPS_VECTOR_MATH_INL_H_
#else
#define FATHOM_OPS_VECTOR_MATH_INL_H_
#endif

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom {
namespace HWY_NAMESPACE {

// x to the nearest whole number n, |n| < 2^22: adding 1.5 · 2^23 leaves no bits for the fraction,
// and the sum's low bits are n.
struct Whole {
  VF32 shifted;
  HWY_INLINE VF32 value() const { return hn::Sub(shifted, hn::Set(F32(), 0x1.8p23f)); }
};
HWY_INLINE Whole to_nearest(VF32 x) { return {hn::Add(x, hn::Set(F32(), 0x1.8p23f))}; }

// p · 2^n for n in [-126, 127] and p near 1: n is added to the exponent.
HWY_INLINE VF32 times_power_of_two(VF32 p, Whole n) {
  const F32 d;
  const hn::RebindToSigned<F32> di;
  return hn::BitCast(d, hn::Add(hn::BitCast(di, p), hn::ShiftLeft<23>(hn::BitCast(di, n.shifted))));
}

// 2^t for t <= 0: the numerators of a softmax. 2^0 is exactly 1; below -126 the result is 2^-126.
HWY_INLINE VF32 exp2_nonpositive(VF32 t) {
  const F32 d;
  const VF32 least = hn::Set(d, -126.0f);
  t = hn::IfThenElse(hn::Lt(t, least), least, t);  // unlike Max, this keeps a NaN
  const Whole n = to_nearest(t);
  const VF32 f = hn::Sub(t, n.value());
  VF32 p = hn::Set(d, 0x1.41fbbcp-13f);
  p = hn::MulAdd(p, f, hn::Set(d, 0x1.5f3e52p-10f));
  p = hn::MulAdd(p, f, hn::Set(d, 0x1.3b2d4cp-7f));
  p = hn::MulAdd(p, f, hn::Set(d, 0x1.c6aee8p-5f));
  p = hn::MulAdd(p, f, hn::Set(d, 0x1.ebfbdcp-3f));
  p = hn::MulAdd(p, f, hn::Set(d, 0x1.62e43p-1f));
  p = hn::MulAdd(p, f, hn::Set(d, 1.0f));
  return times_power_of_two(p, n);
}

// e^x, held inside [2^-126, 2^127.5].
HWY_INLINE VF32 exp_of(VF32 x) {
  const F32 d;
  const VF32 least = hn::Set(d, -87.33654f), most = hn::Set(d, 88.37626f);
  x = hn::IfThenElse(hn::Lt(x, least), least, hn::IfThenElse(hn::Gt(x, most), most, x));
  const Whole n = to_nearest(hn::Mul(x, hn::Set(d, 0x1.715476p+0f)));
  // ln 2 in two parts; the first has so few bits that n times it is exact.
  VF32 f = hn::NegMulAdd(n.value(), hn::Set(d, 0x1.62e4p-1f), x);
  f = hn::NegMulAdd(n.value(), hn::Set(d, 0x1.7f7d1cp-20f), f);
  VF32 p = hn::Set(d, 0x1.6ae72p-10f);
  p = hn::MulAdd(p, f, hn::Set(d, 0x1.126792p-7f));
  p = hn::MulAdd(p, f, hn::Set(d, 0x1.555822p-5f));
  p = hn::MulAdd(p, f, hn::Set(d, 0x1.55541ap-3f));
  p = hn::MulAdd(p, f, hn::Set(d, 0x1.fffffcp-2f));
  p = hn::MulAdd(p, f, hn::Set(d, 1.0f));
  p = hn::MulAdd(p, f, hn::Set(d, 1.0f));
  return times_power_of_two(p, n);
}

}  // namespace HWY_NAMESPACE
}  // namespace fathom
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
