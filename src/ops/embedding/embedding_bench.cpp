#include "ops/embedding/kernels.h"

namespace fathom {
namespace {

struct Operands {
  Tensor ids, rows, table;
};

// Ids spread over the table without a pattern, as text has it, though more evenly.
Operands operands(Pass& pass, int64_t tokens, int64_t vocab, int64_t hidden) {
  Operands o{pass.empty({tokens}, DType::kI32), pass.empty({tokens, hidden}, DType::kF32),
             pass.empty({vocab, hidden}, DType::kF32)};
  int32_t* ids = o.ids.mutable_data<int32_t>();
  for (int64_t i = 0; i < tokens; ++i) {
    ids[i] = static_cast<int32_t>(
        RandomKey{1}.below(static_cast<uint64_t>(i), static_cast<uint64_t>(vocab)));
  }
  fill_ones(o.rows);
  fill_ones(o.table);
  return o;
}

BenchRow forward(int64_t tokens, int64_t vocab, int64_t hidden) {
  const double bytes = 8 * static_cast<double>(tokens * hidden);
  return {"embedding",
          concat(tokens, " of ", vocab, "x", hidden),
          "f32",
          0,
          bytes,
          [=](Pass& pass) -> std::function<void()> {
            return [&pass, o = operands(pass, tokens, vocab, hidden)]() mutable {
              pass.kernels.embedding(pass.stream, o.ids.read(), o.table.read(), o.rows.write());
            };
          }};
}

BenchRow backward(int64_t tokens, int64_t vocab, int64_t hidden) {
  const double bytes = 4 * static_cast<double>((3 * tokens + vocab) * hidden);
  return {"embedding_backward",
          concat(tokens, " of ", vocab, "x", hidden),
          "f32",
          0,
          bytes,
          [=](Pass& pass) -> std::function<void()> {
            return [&pass, o = operands(pass, tokens, vocab, hidden)]() mutable {
              pass.kernels.embedding_backward(pass.stream, o.ids.read(), o.rows.read(),
                                              o.table.write(), false);
            };
          }};
}

}  // namespace

// The presets tiny and small, and a 32 K vocabulary.
std::vector<BenchRow> embedding_bench() {
  return {forward(2048, 512, 192),   backward(2048, 512, 192),  forward(4096, 4096, 384),
          backward(4096, 4096, 384), forward(4096, 32000, 512), backward(4096, 32000, 512)};
}

}  // namespace fathom
