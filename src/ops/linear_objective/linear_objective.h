// Output head and token objective in one: the logits of a training batch never exist as a whole.
//   h  [rows, hidden]     head  [vocab_size, hidden]     target  [rows], kNoTarget rows are skipped
//   logprob_r = log softmax(h_r · headᵀ)[target_r]
//   loss = objective over logprobs (a sum over rows; weights and the step's one normaliser are
//   inside it)
// Rows are walked in chunks: logits, log-probabilities, the objective and its derivative, then at
// once dh and dhead. So the objective must be the end of the graph: backward seeds the loss with 1
// and anything else is refused. Pure cross-entropy, the policy losses of reinforcement learning and
// distillation on sampled tokens are objectives.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "runtime/parameter.h"

namespace fathom {

// For rows[i] with logprob[i]: returns the summed loss and writes its derivative by logprob[i].
// Pure.
using TokenObjective = std::function<double(
    std::span<const int32_t> rows, std::span<const double> logprob, std::span<double> dlogprob)>;

struct ObjectiveResult {
  Tensor loss;  // [1], the dtype of h; seeds backward
  double loss_value = 0;
  std::vector<double> logprob;  // [rows]; 0 where skipped
};

ObjectiveResult linear_objective(Pass& pass, const Tensor& h, const Parameter& head,
                                 std::span<const int32_t> target, const TokenObjective& objective);

// loss = −sum weight_r · logprob_r / normaliser
TokenObjective cross_entropy(std::span<const float> weights, double normaliser);

// Log-probabilities of targets without a tape, chunked the same way. f64 [rows], 0 where there is
// no target.
std::vector<double> target_logprobs(Pass& pass, const Tensor& h, const Parameter& head,
                                    std::span<const int32_t> target);

}  // namespace fathom
