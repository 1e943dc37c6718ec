#include "ops/softmax_weights/kernels.h"

namespace fathom {
namespace {

struct Operands {
  Operands(Pass& pass, int64_t rows, int64_t vocab, float inverse)
      : logits(pass.empty({rows, vocab}, DType::kF32)),
        weight(pass.empty({rows, vocab}, DType::kF32)),
        block_sum(pass.empty({rows, (vocab + kWeightBlock - 1) / kWeightBlock}, DType::kF32)),
        best(pass.empty({rows}, DType::kI32)),
        lse(pass.empty({rows}, DType::kF64)),
        inverse_temperature(static_cast<size_t>(rows), inverse) {
    float* value = logits.mutable_data<float>();
    for (int64_t i = 0; i < rows * vocab; ++i) value[i] = static_cast<float>(i % 1013) / 101;
  }

  Tensor logits, weight, block_sum, best, lse;
  std::vector<float> inverse_temperature;
};

BenchRow row(int64_t rows, int64_t vocab, const char* note, float inverse) {
  const double bytes = 8 * static_cast<double>(rows * vocab);
  return {"softmax_weights",
          concat(rows, "x", vocab, note),
          "f32",
          0,
          bytes,
          [=](Pass& pass) -> std::function<void()> {
            return [&pass, o = Operands(pass, rows, vocab, inverse)]() mutable {
              pass.kernels.softmax_weights(pass.stream, o.logits.read(), o.inverse_temperature,
                                           o.weight.write(), o.block_sum.write(), o.best.write(),
                                           o.lse.write());
            };
          }};
}

}  // namespace

// 64 samples of the nano presets and of tiny, 8 of V3; and with two exponentials for each logit.
std::vector<BenchRow> softmax_weights_bench() {
  return {row(64, 512, "", 1), row(64, 4096, "", 1), row(64, 4096, " T 0.8", 1.25f),
          row(8, 129280, "", 1)};
}

}  // namespace fathom
