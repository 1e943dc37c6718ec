#include "ops/add/kernels.h"

namespace fathom {
namespace {

BenchRow row(int64_t rows, int64_t cols) {
  const double bytes = 12 * static_cast<double>(rows * cols);
  return {
      "add", concat(rows, "x", cols), "f32", 0, bytes, [=](Pass& pass) -> std::function<void()> {
        Tensor a = pass.empty({rows, cols}, DType::kF32);
        Tensor b = pass.empty({rows, cols}, DType::kF32);
        fill_ones(a);
        fill_ones(b);
        return [&pass, a, b, y = pass.empty({rows, cols}, DType::kF32)]() mutable {
          pass.kernels.add(pass.stream, a.read(), b.read(), y.write());
        };
      }};
}

}  // namespace

// The residual connections of the presets tiny and small, and of one decoded token of V2-Lite.
std::vector<BenchRow> add_bench() { return {row(2048, 192), row(4096, 384), row(1, 2048)}; }

}  // namespace fathom
