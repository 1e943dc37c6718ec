#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/softmax_weights/kernels.h"

namespace fathom::reference {
namespace {

// −1: a NaN or +infinity, or nothing finite.
int32_t best_of(const float* x, int64_t vocab) {
  int32_t best = -1;
  for (int64_t i = 0; i < vocab; ++i) {
    if (std::isnan(x[i]) || x[i] == INFINITY) return -1;
    if (std::isfinite(x[i]) && (best < 0 || x[i] > x[best])) best = static_cast<int32_t>(i);
  }
  return best;
}

float weight_of(double exponent) {
  const double weight = std::exp(exponent);
  return weight < 0x1p-126 ? 0.0f : static_cast<float>(weight);
}

}  // namespace

void softmax_weights(Stream*, ConstView logits, std::span<const float> inverse_temperature,
                     View weight, View block_sum, View best, View lse) {
  const int64_t vocab = logits.cols();
  for (int64_t r = 0; r < logits.rows(); ++r) {
    const float* x = logits.row<float>(r);
    float* w = weight.row<float>(r);
    float* sums = block_sum.row<float>(r);
    const int32_t place = best_of(x, vocab);
    best.row<int32_t>(0)[r] = place;
    std::fill_n(w, vocab, 0.0f);
    std::fill_n(sums, block_sum.cols(), 0.0f);
    lse.row<double>(0)[r] = std::numeric_limits<double>::quiet_NaN();
    if (place < 0) continue;

    const auto max = static_cast<double>(x[place]);
    const auto inverse = static_cast<double>(inverse_temperature[static_cast<size_t>(r)]);
    double total = 0;  // of T = 1
    for (int64_t b = 0; b < block_sum.cols(); ++b) {
      double sum = 0;
      for (int64_t i = b * kWeightBlock; i < std::min(vocab, (b + 1) * kWeightBlock); ++i) {
        const double below = static_cast<double>(x[i]) - max;
        w[i] = weight_of(below * inverse);
        sum += static_cast<double>(w[i]);
        total += std::exp(below);
      }
      sums[b] = static_cast<float>(sum);
    }
    lse.row<double>(0)[r] = max + std::log(total);
  }
}

}  // namespace fathom::reference
