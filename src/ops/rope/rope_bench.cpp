#include "ops/rope/kernels.h"
#include "runtime/elementwise.h"

namespace fathom {
namespace {

BenchRow row(int64_t tokens, const RopeShape& shape) {
  return {"rope",
          concat(tokens, "x", shape.heads, "x", shape.head_dim, " dims ", shape.dim,
                 shape.interleaved ? " interleaved" : " halves"),
          "f32",
          0,
          8 * static_cast<double>(tokens * shape.heads * shape.dim),
          [=](Pass& pass) -> std::function<void()> {
            Tensor x = pass.empty({tokens, shape.heads * shape.head_dim}, DType::kF32);
            Tensor cos = pass.empty({tokens, shape.dim / 2}, DType::kF32);
            Tensor sin = pass.empty({tokens, shape.dim / 2}, DType::kF32);
            for (Tensor* t : {&x, &cos, &sin}) fill_zero(pass, *t);
            return [=, &pass]() mutable {
              pass.kernels.rope(pass.stream, x.write(), cos.read(), sin.read(), shape, false);
            };
          }};
}

}  // namespace

// q and k of tiny and small, and the rotary part of v3-nano's queries.
std::vector<BenchRow> rope_bench() {
  return {row(2048, {12, 32, 0, 32, false}), row(4096, {12, 64, 0, 64, false}),
          row(1500, {4, 24, 16, 8, true})};
}

}  // namespace fathom
