#include "ops/parallel.h"
#include "ops/simd_targets.h"
#include "ops/swiglu/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/swiglu/cpu.cpp"
#include <hwy/foreach_target.h>

#include "ops/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom {
namespace HWY_NAMESPACE {
namespace {

// 1 / (1 + e^-x) through e^-|x|, so that no step overflows or is subnormal; below -87 it stays at
// 2^-126. A NaN becomes a number, but every user also multiplies by x. The division is not what
// limits: an estimate with a step of Newton was no faster on whole activations.
HWY_INLINE VF32 sigmoid(VF32 x) {
  const F32 d;
  const VF32 one = hn::Set(d, 1.0f);
  const VF32 e = exp_of(hn::Neg(hn::Abs(x)));
  const VF32 numerator = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), e, one);
  return hn::Div(numerator, hn::Add(one, e));
}

// The next row is fetched meanwhile (`next` elements further on, also the one to be written): the
// hardware begins anew with each page.
template <class Y>
void swiglu_row(const float* gate, const float* up, Y* y, int64_t count, int64_t next) {
  const F32 d;
  const auto product = [](VF32 g, VF32 u) HWY_ATTR { return hn::Mul(hn::Mul(g, sigmoid(g)), u); };
  for_each_vector(
      count,
      [&](int64_t i) HWY_ATTR {
        __builtin_prefetch(gate + next + i);
        __builtin_prefetch(up + next + i);
        __builtin_prefetch(y + count + i, 1);
        store(product(hn::LoadU(d, gate + i), hn::LoadU(d, up + i)), y + i);
      },
      [&](int64_t i, int64_t n) HWY_ATTR {
        store_part(product(load_part(gate + i, n), load_part(up + i, n)), y + i, n);
      });
}

struct GateUp {
  VF32 gate, up;
};

// silu'(g) = s · (1 + g · (1 − s)) with s = sigmoid(g)
HWY_INLINE GateUp gradients(VF32 g, VF32 u, VF32 dy) {
  const VF32 one = hn::Set(F32(), 1.0f);
  const VF32 s = sigmoid(g);
  const VF32 slope = hn::Mul(s, hn::MulAdd(g, hn::Sub(one, s), one));
  return {hn::Mul(hn::Mul(dy, u), slope), hn::Mul(hn::Mul(dy, g), s)};
}

template <class Y>
void swiglu_backward_row(const float* gate, const float* up, const float* dy, Y* dgate, Y* dup,
                         int64_t count, int64_t next) {
  const F32 d;
  for_each_vector(
      count,
      [&](int64_t i) HWY_ATTR {
        __builtin_prefetch(gate + next + i);
        __builtin_prefetch(up + next + i);
        __builtin_prefetch(dy + count + i);
        __builtin_prefetch(dgate + 2 * count + i, 1);
        __builtin_prefetch(dup + 2 * count + i, 1);
        const GateUp grad =
            gradients(hn::LoadU(d, gate + i), hn::LoadU(d, up + i), hn::LoadU(d, dy + i));
        store(grad.gate, dgate + i);
        store(grad.up, dup + i);
      },
      [&](int64_t i, int64_t n) HWY_ATTR {
        const GateUp grad =
            gradients(load_part(gate + i, n), load_part(up + i, n), load_part(dy + i, n));
        store_part(grad.gate, dgate + i, n);
        store_part(grad.up, dup + i, n);
      });
}

// Rows [begin, end).
template <class Y>
void swiglu_rows_to(ConstView gate_up, View y, int64_t begin, int64_t end) {
  const int64_t width = y.cols();
  for (int64_t r = begin; r < end; ++r) {
    const float* gate = gate_up.row<float>(r);
    swiglu_row(gate, gate + width, y.row<Y>(r), width, gate_up.row_stride);
  }
}
void swiglu_rows(ConstView gate_up, View y, int64_t begin, int64_t end) {
  if (y.dtype == DType::kBF16) return swiglu_rows_to<uint16_t>(gate_up, y, begin, end);
  swiglu_rows_to<float>(gate_up, y, begin, end);
}

template <class Y>
void swiglu_backward_rows_to(ConstView gate_up, ConstView dy, View dgate_up, int64_t begin,
                             int64_t end) {
  const int64_t width = dy.cols();
  for (int64_t r = begin; r < end; ++r) {
    const float* gate = gate_up.row<float>(r);
    Y* dgate = dgate_up.row<Y>(r);
    swiglu_backward_row(gate, gate + width, dy.row<float>(r), dgate, dgate + width, width,
                        gate_up.row_stride);
  }
}
void swiglu_backward_rows(ConstView gate_up, ConstView dy, View dgate_up, int64_t begin,
                          int64_t end) {
  if (dgate_up.dtype == DType::kBF16)
    return swiglu_backward_rows_to<uint16_t>(gate_up, dy, dgate_up, begin, end);
  swiglu_backward_rows_to<float>(gate_up, dy, dgate_up, begin, end);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fathom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::cpu {

HWY_EXPORT(swiglu_rows);
HWY_EXPORT(swiglu_backward_rows);

void swiglu(Stream* stream, ConstView gate_up, View y) {
  if (gate_up.dtype != DType::kF32) return reference::swiglu(stream, gate_up, y);
  const auto rows = HWY_DYNAMIC_DISPATCH(swiglu_rows);
  const int64_t width = y.cols();
  for_each_piece(y.rows(), piece_rows(width), width,
                 [&](int64_t begin, int64_t end) { rows(gate_up, y, begin, end); });
}

void swiglu_backward(Stream* stream, ConstView gate_up, ConstView dy, View dgate_up) {
  if (dy.dtype != DType::kF32) return reference::swiglu_backward(stream, gate_up, dy, dgate_up);
  const auto rows = HWY_DYNAMIC_DISPATCH(swiglu_backward_rows);
  const int64_t width = dy.cols();
  for_each_piece(dy.rows(), piece_rows(width), width,
                 [&](int64_t begin, int64_t end) { rows(gate_up, dy, dgate_up, begin, end); });
}

}  // namespace fathom::cpu
#endif  // HWY_ONCE
