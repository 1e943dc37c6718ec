// Rotary position embedding.                         Su et al. 2021 (arXiv:2104.09864), eq. 34
//   x  [tokens, heads · head_dim] or wider
// The columns [begin, begin + dim) of each head are rotated by the angles of its row. Columns after
// the heads stay as they are, so that q and k can turn inside the one product that also holds v.
// Pairs are (i, i + dim/2) in dense models and (2i, 2i + 1) in MLA (RopeShape::interleaved).
#pragma once

#include <span>
#include <vector>

#include "ops/kernel_table.h"
#include "runtime/pass.h"

namespace fathom {

// cos and sin of position · inv_freq in the pass's activation type, shared by all layers. The
// product is rounded to f32 (f64 in gradient checks), as in every published implementation: the
// weights were trained with such angles, and at position 40000 they are up to 0.002 from the exact
// ones.
struct RopeAngles {
  Tensor cos, sin;  // [tokens, dim / 2]
};

// Plain frequencies: theta^(−2i/dim) in f32 steps, for the same reason.
std::vector<double> rope_frequencies(double theta, int64_t dim);

// `magnitude` multiplies cos and sin (1 for plain RoPE).
RopeAngles rope_angles(Pass& pass, std::span<const int32_t> positions,
                       std::span<const double> inv_freq, DType dtype = DType::kF32,
                       double magnitude = 1);

// Takes x over: rotates in place when nothing else owns its storage, else in a copy. (Neither the
// product before it nor the rotation itself needs its own output in backward.)
Tensor rope(Pass& pass, Tensor x, const RopeAngles& angles, const RopeShape& shape);

}  // namespace fathom
