#include "ops/rope/rope.h"

#include <cmath>
#include <type_traits>

#include "runtime/elementwise.h"
#include "runtime/tape.h"

namespace fathom {
namespace {

void check_inputs(const Tensor& x, const RopeAngles& angles, const RopeShape& shape) {
  FATHOM_CHECK(shape.dim % 2 == 0 && shape.dim >= 0 && shape.begin >= 0 &&
                   shape.begin + shape.dim <= shape.head_dim,
               "rope: columns ", shape.begin, " to ", shape.begin + shape.dim, " of a head of ",
               shape.head_dim,
               " cannot be rotated; an even number of columns inside the head is expected");
  FATHOM_CHECK(x.cols() >= shape.heads * shape.head_dim, "rope: x is ", x.shape(),
               ", expected [tokens, ", shape.heads, " heads of ", shape.head_dim, "] or wider");
  FATHOM_CHECK(angles.cos.rows() == x.rows() && angles.sin.rows() == x.rows() &&
                   2 * angles.cos.cols() == shape.dim && 2 * angles.sin.cols() == shape.dim,
               "rope: cos is ", angles.cos.shape(), " and sin ", angles.sin.shape(), ", expected [",
               x.rows(), ", ", shape.dim / 2, "]: one row per token, one angle per pair");
  FATHOM_CHECK(angles.cos.dtype() == x.dtype() && angles.sin.dtype() == x.dtype(), "rope: x is ",
               info(x.dtype()).name, " but cos is ", info(angles.cos.dtype()).name,
               "; make the angles in the activation type");
}

void rotate(Pass& pass, Tensor& x, const RopeAngles& angles, const RopeShape& shape, bool inverse) {
  pass.kernels.rope(pass.stream, x.write(), angles.cos.read(), angles.sin.read(), shape, inverse);
}

// A tensor to rotate in place: x itself where the given handle alone owns the storage, else a copy.
Tensor own_storage(Pass& pass, const Tensor& x) {
  if (x.sole_owner()) return x.without_slot();
  Tensor copy = pass.empty(x.shape(), x.dtype());
  copy_into(pass, x, copy);
  return copy;
}

// The rotation is linear, so its gradient is its transpose: the turn back, times the same
// magnitude.
void backward(Pass& pass, const Tensor& x, const RopeAngles& angles, const RopeShape& shape,
              const Tensor& dy) {
  Tensor dx = own_storage(pass, dy);
  rotate(pass, dx, angles, shape, true);
  pass.tape->add_grad(pass, x, dx);
}

}  // namespace

std::vector<double> rope_frequencies(double theta, int64_t dim) {
  FATHOM_CHECK(theta > 0 && dim >= 0 && dim % 2 == 0,
               "rope: expected a positive rope_theta and an even dim, got ", theta, " and ", dim);
  std::vector<double> inv_freq(static_cast<size_t>(dim / 2));
  for (size_t i = 0; i < inv_freq.size(); ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(dim);
    const auto power = static_cast<float>(std::pow(theta, static_cast<double>(exponent)));
    inv_freq[i] = static_cast<double>(1.0f / power);
  }
  return inv_freq;
}

RopeAngles rope_angles(Pass& pass, std::span<const int32_t> positions,
                       std::span<const double> inv_freq, DType dtype, double magnitude) {
  const Shape shape{static_cast<int64_t>(positions.size()), static_cast<int64_t>(inv_freq.size())};
  RopeAngles angles{pass.empty(shape, dtype), pass.empty(shape, dtype)};
  dispatch_float(dtype, "rope_angles", [&](auto zero) {
    using T = decltype(zero);
    using Angle = std::conditional_t<std::is_same_v<T, double>, double, float>;
    T* cos = angles.cos.mutable_data<T>();
    T* sin = angles.sin.mutable_data<T>();
    size_t i = 0;
    for (int32_t position : positions) {
      for (double frequency : inv_freq) {
        const double angle =
            static_cast<double>(static_cast<Angle>(position) * static_cast<Angle>(frequency));
        cos[i] = static_cast<T>(magnitude * std::cos(angle));
        sin[i] = static_cast<T>(magnitude * std::sin(angle));
        ++i;
      }
    }
  });
  return angles;
}

Tensor rope(Pass& pass, Tensor x, const RopeAngles& angles, const RopeShape& shape) {
  check_inputs(x, angles, shape);
  Tensor y = own_storage(pass, x);
  x = x.without_data();  // backward reads none of its elements, and y is the sole owner from here
                         // on
  rotate(pass, y, angles, shape, false);
  if (needs_grad(pass, {&x})) {
    pass.tape->record("rope", y, [x, angles, shape](Pass& p, const Tensor& dy) {
      backward(p, x, angles, shape, dy);
    });
  }
  return y;
}

}  // namespace fathom
