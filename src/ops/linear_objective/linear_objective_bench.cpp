#include "ops/linear_objective/kernels.h"

namespace fathom {
namespace {

struct Buffers {
  Buffers(Pass& pass, int64_t rows, int64_t vocab_size)
      : logits(pass.empty({rows, vocab_size}, DType::kF32)),
        target(pass.empty({rows}, DType::kI32)),
        logprob(pass.empty({rows}, DType::kF64)),
        lse(pass.empty({rows}, DType::kF64)),
        coefficient(pass.empty({rows}, DType::kF64)) {
    fill_ones(logits);
    fill_ones(coefficient);
    for (int64_t r = 0; r < rows; ++r)
      target.mutable_data<int32_t>()[r] = static_cast<int32_t>(r % vocab_size);
    forward(pass);
  }

  void forward(Pass& pass) {
    pass.kernels.target_logprob(pass.stream, logits.read(), target.read(), logprob.write(),
                                lse.write());
  }
  // In place, so that it runs on its own result from the second time on; the work is the same.
  void backward(Pass& pass) {
    const View dlogits = logits.write();
    pass.kernels.target_logprob_backward(pass.stream, dlogits, target.read(), lse.read(),
                                         coefficient.read(), dlogits);
  }

  Tensor logits, target, logprob, lse, coefficient;
};

BenchRow row(const char* op, int64_t rows, int64_t vocab_size, double moved,
             void (Buffers::*work)(Pass&)) {
  const double bytes = 4 * moved * static_cast<double>(rows * vocab_size);
  return {
      op, concat(rows, "x", vocab_size), "f32", 0, bytes, [=](Pass& pass) -> std::function<void()> {
        return [&pass, work, b = Buffers(pass, rows, vocab_size)]() mutable { (b.*work)(pass); };
      }};
}

}  // namespace

// One chunk of the nano presets, of a vocabulary of 8192, and of V3.
std::vector<BenchRow> linear_objective_bench() {
  std::vector<BenchRow> rows;
  for (const auto& [count, vocab_size] :
       {std::pair<int64_t, int64_t>{512, 512}, {128, 8192}, {32, 129280}}) {
    rows.push_back(row("target_logprob", count, vocab_size, 1, &Buffers::forward));
    rows.push_back(row("target_logprob_backward", count, vocab_size, 2, &Buffers::backward));
  }
  return rows;
}

}  // namespace fathom
