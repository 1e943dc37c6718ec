#include "ops/adamw/kernels.h"

namespace fathom {
namespace {

Tensor ones(Pass& pass, int64_t count) {
  Tensor x = pass.empty({count}, DType::kF32);
  fill_ones(x);
  return x;
}

BenchRow step(int64_t count) {
  const AdamWStep factors{.lr = 1e-6, .weight_decay = 0.1};
  return {"adamw",
          concat(count),
          "f32",
          0,
          28 * static_cast<double>(count),
          [=](Pass& pass) -> std::function<void()> {
            return [&pass, factors, value = ones(pass, count), grad = ones(pass, count),
                    m = ones(pass, count), v = ones(pass, count)]() mutable {
              pass.kernels.adamw(pass.stream, value.write(), grad.read(), m.write(), v.write(),
                                 factors);
            };
          }};
}

BenchRow squares(int64_t count) {
  return {"sum_squares",
          concat(count),
          "f32",
          0,
          4 * static_cast<double>(count),
          [=](Pass& pass) -> std::function<void()> {
            return
                [&pass, x = ones(pass, count)] { pass.kernels.sum_squares(pass.stream, x.read()); };
          }};
}

}  // namespace

// An expert of v3-nano, a matrix of small, and 32 M parameters, which no cache of a core holds.
std::vector<BenchRow> adamw_bench() {
  return {step(24576),    step(384 * 1024),    step(32 << 20),
          squares(24576), squares(384 * 1024), squares(32 << 20)};
}

}  // namespace fathom
