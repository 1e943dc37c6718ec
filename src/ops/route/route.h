// Chooses experts for each token.                DeepSeek-V3 (arXiv:2412.19437), eq. 13-16;
//                                                DeepSeek-V2 (arXiv:2405.04434), eq. 20-22
//   logits  [tokens, n_routed_experts]      f32   gate outputs
//   bias    [n_routed_experts]              f32   e_score_correction_bias: steers the choice, never
//                                                 the weights; null unless topk_method is noaux_tc
//   expert  [tokens, num_experts_per_tok]   i32   best first; ties go to the lower id
//   weight  [tokens, num_experts_per_tok]   f32   scores (sigmoid, or softmax over all experts),
//                                                 normalised over the chosen if norm_topk_prob,
//                                                 then scaled by routed_scaling_factor
// With groups, a group's score is the sum of its two largest biased scores (noaux_tc) or its
// largest score (group_limited_greedy); experts outside the topk_group best groups are out
// (−infinity, never 0). greedy knows no groups. The choice has no gradient; the weights have.
//
// Where shape.balance_alpha > 0 the op is also the pass-through of the sequence-wise balance loss
// (eq. 17-20 of V3; softmax scores need no normalising and are eq. 23-25 of V2):
//   L = alpha · sum over sequences of share_s · sum_i f_i P_i,  f_i = E/(k T) · #(t picks i),  P_i
//   = mean_t s_i,t / sum_j s_j,t
// its gradient is added to dlogits in backward, and its value to PassStats::balance_loss. share_s
// is `sequence_share[s]`, the sequence's part in the step's one normaliser (its loss weight over
// the whole step's).
#pragma once

#include <span>

#include "ops/kernel_table.h"
#include "runtime/pass.h"

namespace fathom {

struct Routed {
  Tensor expert;  // [tokens, k] i32
  Tensor weight;  // [tokens, k]
};

// `follow` [tokens · k], or empty: experts that a row must take instead of its own choice (−1: its
// own). Their weights are computed from this pass's scores all the same.
Routed topk_route(Pass& pass, const Tensor& logits, const Tensor& bias, const RouteShape& shape,
                  std::span<const int32_t> starts, std::span<const float> sequence_share,
                  std::span<const int32_t> follow = {});

// Tokens per expert, for statistics and bias balancing. expert [tokens, k] i32.
std::vector<int64_t> count_experts(const Tensor& expert, int64_t n_routed_experts);

}  // namespace fathom
