#include "ops/softmax_weights/softmax_weights.h"

#include <cmath>

#include "ops/kernel_table.h"

namespace fathom {

SoftmaxWeights softmax_weights(Pass& pass, const Tensor& logits,
                               std::span<const float> inverse_temperature) {
  FATHOM_CHECK(logits.dtype() == DType::kF32, "softmax_weights: logits are ",
               info(logits.dtype()).name, ", expected f32, which decoding computes");
  FATHOM_CHECK(static_cast<int64_t>(inverse_temperature.size()) == logits.rows(),
               "softmax_weights: ", inverse_temperature.size(), " inverse temperatures for logits ",
               logits.shape(), "; expected one for each row");
  for (size_t r = 0; r < inverse_temperature.size(); ++r) {
    FATHOM_CHECK(inverse_temperature[r] > 0 && std::isfinite(inverse_temperature[r]),
                 "softmax_weights: the inverse temperature of row ", r, " is ",
                 inverse_temperature[r],
                 "; expected a positive finite one. Greedy rows need `best` alone: give 1");
  }
  const int64_t rows = logits.rows(), vocab = logits.cols();
  const int64_t blocks = (vocab + kWeightBlock - 1) / kWeightBlock;
  SoftmaxWeights y{pass.empty({rows, vocab}, DType::kF32), pass.empty({rows, blocks}, DType::kF32),
                   pass.empty({rows}, DType::kI32), pass.empty({rows}, DType::kF64)};
  pass.kernels.softmax_weights(pass.stream, logits.read(), inverse_temperature, y.weight.write(),
                               y.block_sum.write(), y.best.write(), y.lse.write());
  return y;
}

}  // namespace fathom
