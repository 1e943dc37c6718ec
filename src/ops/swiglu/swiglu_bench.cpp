#include "ops/swiglu/kernels.h"

namespace fathom {
namespace {

Tensor ones(Pass& pass, const Shape& shape) {
  Tensor x = pass.empty(shape, DType::kF32);
  fill_ones(x);
  return x;
}

BenchRow forward(int64_t rows, int64_t width) {
  const double bytes = 12 * static_cast<double>(rows * width);
  return {"swiglu",
          concat(rows, "x", width),
          "f32",
          0,
          bytes,
          [=](Pass& pass) -> std::function<void()> {
            return [&pass, x = ones(pass, {rows, 2 * width}),
                    y = ones(pass, {rows, width})]() mutable {
              pass.kernels.swiglu(pass.stream, x.read(), y.write());
            };
          }};
}

BenchRow backward(int64_t rows, int64_t width) {
  const double bytes = 20 * static_cast<double>(rows * width);
  return {"swiglu_backward",
          concat(rows, "x", width),
          "f32",
          0,
          bytes,
          [=](Pass& pass) -> std::function<void()> {
            return [&pass, x = ones(pass, {rows, 2 * width}), dy = ones(pass, {rows, width}),
                    dx = ones(pass, {rows, 2 * width})]() mutable {
              pass.kernels.swiglu_backward(pass.stream, x.read(), dy.read(), dx.write());
            };
          }};
}

}  // namespace

// Expert rows of v3-nano, the dense layers of tiny and small, and one decoded token of V2-Lite.
std::vector<BenchRow> swiglu_bench() {
  return {forward(3000, 64),   backward(3000, 64),   forward(2048, 512), backward(2048, 512),
          forward(4096, 1024), backward(4096, 1024), forward(1, 10944)};
}

}  // namespace fathom
