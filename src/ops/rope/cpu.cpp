// Rotation of pairs, one vector of pairs at a time. Limited by memory: 8 bytes for each element.
#include "ops/parallel.h"
#include "ops/rope/kernels.h"
#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/rope/cpu.cpp"
#include <hwy/foreach_target.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom {
namespace HWY_NAMESPACE {

// first := first · cos − second · sin, second := second · cos + first · sin
template <class V>
HWY_INLINE void turn(V& first, V& second, V cos, V sin) {
  const V a = first, b = second;
  first = hn::NegMulAdd(b, sin, hn::Mul(a, cos));
  second = hn::MulAdd(a, sin, hn::Mul(b, cos));
}

// One head's rotated columns and the angles of its row.
struct Pairs {
  float* x;
  const float* cos;
  const float* sin;
  float sign;
  int64_t count;
};

// Pairs from `i` on, as long as they fill whole vectors; returns where it stopped.
template <class D>
HWY_INLINE int64_t turn_halves(D d, const Pairs& p, int64_t i) {
  float* second = p.x + p.count;
  const int64_t step = static_cast<int64_t>(hn::Lanes(d));
  for (; i + step <= p.count; i += step) {
    auto a = hn::LoadU(d, p.x + i), b = hn::LoadU(d, second + i);
    turn(a, b, hn::LoadU(d, p.cos + i), hn::Mul(hn::LoadU(d, p.sin + i), hn::Set(d, p.sign)));
    hn::StoreU(a, d, p.x + i);
    hn::StoreU(b, d, second + i);
  }
  return i;
}

template <class D>
HWY_INLINE int64_t turn_neighbours(D d, const Pairs& p, int64_t i) {
  const int64_t step = static_cast<int64_t>(hn::Lanes(d));
  for (; i + step <= p.count; i += step) {
    hn::Vec<D> a, b;
    hn::LoadInterleaved2(d, p.x + 2 * i, a, b);
    turn(a, b, hn::LoadU(d, p.cos + i), hn::Mul(hn::LoadU(d, p.sin + i), hn::Set(d, p.sign)));
    hn::StoreInterleaved2(a, b, d, p.x + 2 * i);
  }
  return i;
}

// Rotary parts are short: 4 to 32 pairs. What does not fill a vector is done by fours, then singly.
void rope_row(float* x, const float* cos, const float* sin, const RopeShape& shape, float sign) {
  const F32 d;
  const hn::CappedTag<float, 4> d4;
  const hn::CappedTag<float, 1> d1;
  for (int64_t h = 0; h < shape.heads; ++h) {
    const Pairs pairs{x + h * shape.head_dim + shape.begin, cos, sin, sign, shape.dim / 2};
    if (shape.interleaved) {
      turn_neighbours(d1, pairs, turn_neighbours(d4, pairs, turn_neighbours(d, pairs, 0)));
    } else {
      turn_halves(d1, pairs, turn_halves(d4, pairs, turn_halves(d, pairs, 0)));
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace fathom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::cpu {

HWY_EXPORT(rope_row);

void rope(Stream* stream, View x, ConstView cos, ConstView sin, const RopeShape& shape,
          bool inverse) {
  if (x.dtype != DType::kF32) return reference::rope(stream, x, cos, sin, shape, inverse);
  const auto turn_row = HWY_DYNAMIC_DISPATCH(rope_row);
  const int64_t width = shape.heads * shape.dim;
  for_each_piece(x.rows(), piece_rows(width), width, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      turn_row(x.row<float>(t), cos.row<float>(t), sin.row<float>(t), shape,
               inverse ? -1.0f : 1.0f);
    }
  });
}

}  // namespace fathom::cpu
#endif  // HWY_ONCE
