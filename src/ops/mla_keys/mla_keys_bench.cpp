#include "ops/mla_keys/kernels.h"

namespace fathom {
namespace {

struct Operands {
  Tensor kv, k_rope, k, v;
};

Operands operands(Pass& pass, int64_t tokens, const MlaWidths& w) {
  Operands o{pass.empty({tokens, w.heads * (w.nope + w.value)}, DType::kF32),
             pass.empty({tokens, w.rope}, DType::kF32),
             pass.empty({tokens, w.heads * (w.nope + w.rope)}, DType::kF32),
             pass.empty({tokens, w.heads * w.value}, DType::kF32)};
  for (Tensor* x : {&o.kv, &o.k_rope, &o.k, &o.v}) fill_zero(pass, *x);
  return o;
}

std::string name(int64_t tokens, const MlaWidths& w) {
  return concat(tokens, "x", w.heads, " dims ", w.nope, "+", w.rope, "/", w.value);
}

double bytes(int64_t tokens, const MlaWidths& w) {
  const int64_t columns = w.heads * (2 * w.nope + w.rope + 2 * w.value) + w.rope;
  return 4 * static_cast<double>(tokens * columns);
}

BenchRow forward(int64_t tokens, const MlaWidths& w) {
  return {"mla_keys",
          name(tokens, w),
          "f32",
          0,
          bytes(tokens, w),
          [=](Pass& pass) -> std::function<void()> {
            return [&pass, o = operands(pass, tokens, w), heads = w.heads]() mutable {
              pass.kernels.mla_keys(pass.stream, o.kv.read(), o.k_rope.read(), heads, o.k.write(),
                                    o.v.write());
            };
          }};
}

BenchRow backward(int64_t tokens, const MlaWidths& w) {
  return {"mla_keys_backward",
          name(tokens, w),
          "f32",
          0,
          bytes(tokens, w),
          [=](Pass& pass) -> std::function<void()> {
            return [&pass, o = operands(pass, tokens, w), heads = w.heads]() mutable {
              pass.kernels.mla_keys_backward(pass.stream, o.k.read(), o.v.read(), heads,
                                             o.kv.write(), o.k_rope.write());
            };
          }};
}

}  // namespace

// v3-nano, and an MLA layer of the size of small.
std::vector<BenchRow> mla_keys_bench() {
  return {forward(1500, {4, 16, 8, 16}), backward(1500, {4, 16, 8, 16}),
          forward(4096, {6, 64, 32, 64}), backward(4096, {6, 64, 32, 64})};
}

}  // namespace fathom
