// The weights of a softmax with temperature, and what sampling needs beside them.
//   logits     [rows, vocab] f32 (a column slice is fine)
//   weight     [rows, vocab] f32     exp((logit − max) / T): the best has 1, −infinity exactly 0
//   block_sum  [rows, blocks] f32    of each kWeightBlock weights, blocks = ceil(vocab / block)
//   best       [rows] i32            arg max, ties to the lower id
//   lse        [rows] f64            log sum exp(logit), whatever T is
// A row that holds a NaN or +infinity, or nothing finite, cannot be sampled: its best is −1, its
// weights are 0 and its lse is NaN. Weights below 2^-126 are 0. With T = 1 a row needs one
// exponential for each logit, else two. Inference only: there is no backward.
#pragma once

#include <span>

#include "runtime/pass.h"

namespace fathom {

struct SoftmaxWeights {
  Tensor weight, block_sum, best, lse;
};

// One inverse temperature for each row, positive and finite.
SoftmaxWeights softmax_weights(Pass& pass, const Tensor& logits,
                               std::span<const float> inverse_temperature);

}  // namespace fathom
