#include "ops/rms_norm/kernels.h"

namespace fathom {
namespace {

struct Operands {
  Tensor x, w, inv_rms, y;
};

Operands operands(Pass& pass, int64_t rows, int64_t cols) {
  Operands o{pass.empty({rows, cols}, DType::kF32), pass.empty({cols}, DType::kF32),
             pass.empty({rows}, DType::kF32), pass.empty({rows, cols}, DType::kF32)};
  fill_ones(o.x);
  fill_ones(o.w);
  fill_ones(o.inv_rms);
  fill_ones(o.y);
  return o;
}

BenchRow forward(int64_t rows, int64_t cols) {
  const double bytes = 8 * static_cast<double>(rows * cols);
  return {"rms_norm",
          concat(rows, "x", cols),
          "f32",
          0,
          bytes,
          [=](Pass& pass) -> std::function<void()> {
            return [&pass, o = operands(pass, rows, cols)]() mutable {
              pass.kernels.rms_norm(pass.stream, o.x.read(), o.w.read(), 1e-6f, o.y.write(),
                                    o.inv_rms.write());
            };
          }};
}

BenchRow backward(int64_t rows, int64_t cols) {
  const double bytes = 12 * static_cast<double>(rows * cols);
  return {"rms_norm_backward",
          concat(rows, "x", cols),
          "f32",
          0,
          bytes,
          [=](Pass& pass) -> std::function<void()> {
            Tensor dx = pass.empty({rows, cols}, DType::kF32);
            Tensor dw = pass.empty({cols}, DType::kF32);
            return [&pass, o = operands(pass, rows, cols), dx, dw]() mutable {
              pass.kernels.rms_norm_backward(pass.stream, o.x.read(), o.w.read(), o.inv_rms.read(),
                                             o.y.read(), dx.write(), false, dw.write(), false);
            };
          }};
}

}  // namespace

// The presets v3-nano, tiny and small, and one decoded token of V2-Lite.
std::vector<BenchRow> rms_norm_bench() {
  return {forward(1500, 128), backward(1500, 128), forward(2048, 192), backward(2048, 192),
          forward(4096, 384), backward(4096, 384), forward(1, 2048)};
}

}  // namespace fathom
