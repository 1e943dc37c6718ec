#include "ops/attention/kernels.h"

namespace fathom {
namespace {

struct Shapes {
  int64_t sequences, tokens;  // tokens of each
  int64_t heads, kv_heads, qk_dim, v_dim;
};

struct Operands {
  Tensor q, k, v, starts, out, lse, dout, dq, dk, dv;
  AttentionShape shape;
};

Operands operands(Pass& pass, const Shapes& s) {
  const int64_t rows = s.sequences * s.tokens;
  Operands o;
  o.shape = {s.heads, s.kv_heads, s.qk_dim, s.v_dim, 0.125};
  const auto filled = [&](int64_t cols) {
    Tensor x = pass.empty({rows, cols}, DType::kF32);
    float* value = x.mutable_data<float>();
    for (int64_t i = 0; i < x.shape().elements(); ++i) value[i] = static_cast<float>(i % 13) / 13;
    return x;
  };
  o.q = filled(s.heads * s.qk_dim);
  o.k = filled(s.kv_heads * s.qk_dim);
  o.v = filled(s.kv_heads * s.v_dim);
  o.out = filled(s.heads * s.v_dim);
  o.lse = filled(s.heads);
  o.dout = filled(s.heads * s.v_dim);
  o.dq = filled(s.heads * s.qk_dim);
  o.dk = filled(s.kv_heads * s.qk_dim);
  o.dv = filled(s.kv_heads * s.v_dim);
  o.starts = pass.empty({s.sequences + 1}, DType::kI32);
  for (int64_t i = 0; i <= s.sequences; ++i) {
    o.starts.mutable_data<int32_t>()[i] = static_cast<int32_t>(i * s.tokens);
  }
  pass.kernels.attention(pass.stream, o.q.read(), o.k.read(), o.v.read(), o.starts.read(), o.shape,
                         o.out.write(), o.lse.write());
  return o;
}

// Multiplications and additions of `columns` products over the pairs that attend.
double pair_flops(const Shapes& s, int64_t columns) {
  const int64_t pairs = s.sequences * s.tokens * (s.tokens + 1) / 2;
  return 2 * static_cast<double>(pairs * s.heads * columns);
}

std::string name(const Shapes& s) {
  return concat(s.sequences, "x", s.tokens, " heads ", s.heads, "/", s.kv_heads, " dims ", s.qk_dim,
                "/", s.v_dim);
}

BenchRow forward(const Shapes& s) {
  return {"attention",
          name(s),
          "f32",
          pair_flops(s, s.qk_dim + s.v_dim),
          0,
          [=](Pass& pass) -> std::function<void()> {
            return [&pass, o = operands(pass, s)]() mutable {
              pass.kernels.attention(pass.stream, o.q.read(), o.k.read(), o.v.read(),
                                     o.starts.read(), o.shape, o.out.write(), o.lse.write());
            };
          }};
}

BenchRow backward(const Shapes& s) {
  return {"attention_backward",
          name(s),
          "f32",
          pair_flops(s, 3 * s.qk_dim + 2 * s.v_dim),
          0,
          [=](Pass& pass) -> std::function<void()> {
            return [&pass, o = operands(pass, s)]() mutable {
              pass.kernels.attention_backward(pass.stream, o.q.read(), o.k.read(), o.v.read(),
                                              o.out.read(), o.lse.read(), o.dout.read(),
                                              o.starts.read(), o.shape, o.dq.write(), o.dk.write(),
                                              o.dv.write());
            };
          }};
}

}  // namespace

// The presets v3-nano, llm-nano, tiny and small, and a long grouped-query sequence.
std::vector<BenchRow> attention_bench() {
  std::vector<BenchRow> rows;
  for (const Shapes& s :
       {Shapes{64, 40, 4, 4, 24, 16}, Shapes{12, 64, 4, 4, 32, 32}, Shapes{8, 256, 6, 6, 32, 32},
        Shapes{8, 512, 6, 6, 64, 64}, Shapes{1, 4096, 8, 2, 64, 64}}) {
    rows.push_back(forward(s));
    rows.push_back(backward(s));
  }
  return rows;
}

}  // namespace fathom
