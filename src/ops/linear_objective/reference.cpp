// Log-probability of targets and its gradient, in plain loops and double: the specification.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/linear_objective/kernels.h"
#include "ops/operand.h"

namespace fathom::reference {
namespace {

// log sum exp(x), shifted by the largest. A NaN or +infinity among x gives NaN.
template <class T>
double log_sum_exp(const T* x, int64_t count) {
  double largest = -std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i < count; ++i) largest = std::max(largest, static_cast<double>(x[i]));
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += std::exp(static_cast<double>(x[i]) - largest);
  return largest + std::log(sum);
}

}  // namespace

void target_logprob(Stream*, ConstView logits, ConstView target, View logprob, View lse) {
  dispatch_float(logits.dtype, "target_logprob", [&](auto zero) {
    using T = decltype(zero);
    for (int64_t r = 0; r < logits.rows(); ++r) {
      const T* x = logits.row<T>(r);
      const double log_sum = log_sum_exp(x, logits.cols());
      lse.row<double>(0)[r] = log_sum;
      logprob.row<double>(0)[r] = static_cast<double>(x[target.row<int32_t>(0)[r]]) - log_sum;
    }
  });
}

void target_logprob_backward(Stream*, ConstView logits, ConstView target, ConstView lse,
                             ConstView coefficient, View dlogits) {
  dispatch_float(logits.dtype, "target_logprob_backward", [&](auto zero) {
    using T = decltype(zero);
    for (int64_t r = 0; r < logits.rows(); ++r) {
      const T* x = logits.row<T>(r);
      const double log_sum = lse.row<double>(0)[r], factor = coefficient.row<double>(0)[r];
      const int64_t hit = target.row<int32_t>(0)[r];
      for (int64_t i = 0; i < logits.cols(); ++i) {
        const double prob = std::exp(static_cast<double>(x[i]) - log_sum);
        put(dlogits, r, i, static_cast<T>(factor * ((i == hit ? 1.0 : 0.0) - prob)));
      }
    }
  });
}

}  // namespace fathom::reference
