// Advantages and the clipped policy loss of GRPO.                        DeepSeekMath
// (arXiv:2402.03300), eq. 3 and 4.1.2
//
//   A_i = (r_i − mean r) / (std r + 1e-6) within a group (population std); a group of equal rewards
//   gives exactly 0 J   = normaliser⁻¹ · sum over tokens of min(ρ A, clip(ρ, 1 − clip_low, 1 +
//   clip_high) A) − beta · kl kl  = e^u − u − 1, u = log π_ref − log π ("k3")
// Prompt tokens carry no loss; the end token does. Normalisers are sums over the whole optimiser
// step.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ops/linear_objective/linear_objective.h"

namespace fathom {

enum class LossNorm {
  kSeq,    // mean over outputs of the mean over their tokens: the first GRPO
  kToken,  // sum over all tokens / all tokens: DAPO
  kConst,  // sum / (outputs · max_tokens): Dr. GRPO
};
enum class AdvantageScale { kGroup, kBatch, kNone };
enum class KlKind { kNone, kK3 };
enum class Overlong {
  kNone,
  kMask,
  kPenalty
};  // answers cut off at max_tokens: as any, out of the loss, or −1 at the limit

LossNorm parse_loss_norm(const std::string& name);
AdvantageScale parse_adv_scale(const std::string& name);
KlKind parse_kl(const std::string& name);
Overlong parse_overlong(const std::string& name);

// rewards [groups · size], groups one after the other.
std::vector<double> advantages(std::span<const double> rewards, int64_t size, AdvantageScale scale);

// Soft punishment near the length limit: 0 up to max_tokens − cache, then linear to −1 at
// max_tokens (DAPO).
double overlong_penalty(int64_t tokens, int64_t max_tokens, int64_t cache);

struct PolicyLossConfig {
  LossNorm loss_norm = LossNorm::kToken;
  double clip_low = 0.2, clip_high = 0.2;
  KlKind kl = KlKind::kNone;
  double kl_beta = 0;
};

// What the loss needs for each row of a microbatch.
struct PolicyRows {
  std::vector<double> advantage;  // [rows], 0 on rows without loss
  std::vector<double>
      weight;  // [rows], 1 / normaliser of this row's output, 0 on rows without loss
  std::vector<double>
      old_logprob;  // [rows], under the policy that sampled, in the training form; empty: this pass
                    // is the first on these answers, so its own log-probabilities are the old ones
  std::vector<double>
      sampler_logprob;  // [rows], as the engine gave them; for the gap between sampler and trainer
  std::vector<double> reference_logprob;  // [rows], only with a KL term
};

// Sums over rows that objective calls add to; one per step.
struct PolicyStats {
  double tokens = 0;
  double clipped_low = 0, clipped_high = 0;  // tokens whose gradient the clip removed
  double kl = 0, ratio_max = 0;
  double gap = 0, gap_max = 0;  // |trainer − sampler| log-probability: sum and largest
};

// The loss to minimise: −J over these rows. `rows` and `stats` outlive the returned function.
TokenObjective policy_objective(const PolicyRows& rows, const PolicyLossConfig& config,
                                PolicyStats& stats);

}  // namespace fathom
