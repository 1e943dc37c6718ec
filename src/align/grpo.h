// GRPO on procedural problems: sample groups, reward, compare within the group, one clipped policy
// step.
//                                             DeepSeekMath (arXiv:2402.03300), section 4;
//                                             DeepSeek-R1 (arXiv:2501.12948), 2.2
// Threads: one.  Lifetime: kernels, memory, decoder and tokenizer outlive it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "align/policy_loss.h"
#include "align/rewards.h"
#include "generate/engine.h"
#include "train/trainer.h"

namespace fathom {

struct GrpoConfig {
  std::vector<std::string> tasks = {
      "modsum=64"};  // problems of each task a step: "modsum=24", or "modsum:8=24" for 8 digits
  int64_t group_size = 8;
  int64_t steps = 60;
  int64_t max_tokens = 26;
  double temperature = 1;
  std::string reward = "accuracy";

  std::string loss_norm = "token";
  std::string adv_scale = "group";
  double clip_low = 0.2, clip_high = 0.2;
  std::string kl = "none";
  double kl_beta = 0.001;
  std::string overlong = "none";
  int64_t overlong_cache = 8;

  double lr = 1e-4;
  int64_t warmup_steps = 0;
  double eps = 1e-8;  // AdamW; at the size of noise (1e-3) steps shrink where rewards say nothing
  double weight_decay = 0;
  double clip_norm = 1;
  double mtp_weight = 0.1;  // the multi-token head keeps up with the policy, detached from it
  double bias_update_speed = 0.001;
  int64_t microbatch_tokens = 8192;
  uint64_t seed = 1;
};

template <class Visitor>
void visit_fields(GrpoConfig& c, Visitor&& field) {
  field("tasks", c.tasks, "problems of each task a step, as modsum=24; may be repeated");
  field("group_size", c.group_size, "answers to each problem");
  field("steps", c.steps, "optimiser steps in all");
  field("max_tokens", c.max_tokens, "longest answer");
  field("temperature", c.temperature, "of sampling");
  field("reward", c.reward, "accuracy, format, or the controls random and zero");
  field("loss_norm", c.loss_norm, "seq, token or const");
  field("adv_scale", c.adv_scale, "divide advantages by the deviation of: group, batch, or none");
  field("clip_low", c.clip_low, "lower clip of the ratio: 1 − clip_low");
  field("clip_high", c.clip_high, "upper clip of the ratio: 1 + clip_high");
  field("kl", c.kl, "none or k3, against the model that training began with");
  field("kl_beta", c.kl_beta, "weight of the KL term");
  field("overlong", c.overlong, "answers cut off at max_tokens: none, mask or penalty");
  field("overlong_cache", c.overlong_cache, "penalty: tokens before the limit where it begins");
  field("lr", c.lr, "learning rate, constant after warm-up");
  field("warmup_steps", c.warmup_steps, "steps of linear warm-up");
  field("eps", c.eps, "AdamW; larger: smaller steps where rewards say nothing");
  field("weight_decay", c.weight_decay, "AdamW, on matrices");
  field("clip_norm", c.clip_norm, "largest gradient norm; 0: no clipping");
  field("mtp_weight", c.mtp_weight, "weight of the multi-token loss on the model's own answers");
  field("bias_update_speed", c.bias_update_speed, "of the experts' correction bias, each step");
  field("microbatch_tokens", c.microbatch_tokens,
        "tokens of one part of the backward pass, to bound memory");
  field("seed", c.seed, "of problems, sampling and control rewards");
}

void check_grpo_config(const GrpoConfig& config);

// Sampled answers of one step, groups one after the other.
struct Rollout {
  struct Answer {
    std::vector<int32_t> ids;
    std::vector<double> logprobs;
    std::vector<int32_t> routed;  // as Completion::routed
    FinishReason finish = FinishReason::kNone;
    double reward = 0;
    bool right = false, reasons = false;
    double advantage = 0;
  };
  std::vector<Problem> problems;
  std::vector<std::vector<int32_t>> prompts;  // [problems]
  std::vector<Answer> answers;                // [problems · group_size]
  bool finite = true;  // false: the model gave logits that are no numbers, and there are no answers
};

struct GrpoReport {
  double reward_mean = 0, reward_std = 0;
  double accuracy = 0;                  // share of exactly right answers, whatever is rewarded
  double all_right = 0, all_wrong = 0;  // share of groups
  double mean_tokens = 0, truncated = 0, reasoning_share = 0;
  double entropy = 0;  // mean −log-probability of the sampled tokens
  double kl = 0, clipped_low = 0, clipped_high = 0, ratio_max = 0;
  double gap_mean = 0, gap_max = 0;  // sampler against trainer, nats
  double grad_norm = 0, mtp_loss = 0, max_vio = 0;
  int64_t rollout_tokens = 0, prompt_tokens = 0, trained_tokens = 0;
  double rollout_s = 0, reward_s = 0, train_s = 0;
  std::vector<std::pair<std::string, double>> task_accuracy;
  std::vector<std::vector<int64_t>> expert_counts;
  bool applied = false;
  std::string fault;  // why a step that had something to learn was skipped: what was not finite
};

class Grpo {
 public:
  Grpo(const KernelTable& kernels, Allocator& memory, Decoder& decoder, const Tokenizer& tokenizer,
       const GrpoConfig& config);

  // Step `number` (0-based); what it draws depends on the seed and the number alone.
  GrpoReport step(int64_t number);

  // Its parts, for tests and for callers that look inside.
  Rollout sample(int64_t number);
  struct PolicyBatch {
    Batch batch;
    PolicyRows rows;
    RouteLog routes;  // answers are trained on the experts that sampled them
  };
  std::vector<PolicyBatch> make_batches(const Rollout& rollout) const;
  StepReport accumulate(std::vector<PolicyBatch>& batches, PolicyStats& stats);

  Trainer& trainer() { return trainer_; }
  const Rollout& last_rollout() const { return rollout_; }

 private:
  struct Task {
    TaskConfig config;
    int64_t count = 0;
  };
  static std::vector<Task> parse_tasks(const std::vector<std::string>& texts);
  std::vector<Problem> problems_of(int64_t number) const;
  void reward(int64_t number, Rollout& rollout) const;
  void add_reference(std::vector<PolicyBatch>& batches);
  void add_routes(const Rollout::Answer& answer, size_t prompt_tokens, RouteLog& routes) const;
  void check_gap(const GrpoReport& report) const;
  GrpoReport describe(const Rollout& rollout) const;
  StepOptions step_options(int64_t number) const;

  const KernelTable& kernels_;
  Allocator& memory_;
  Decoder& decoder_;
  const Tokenizer& tokenizer_;
  GrpoConfig config_;
  std::vector<Task> tasks_;
  Reward reward_;
  Trainer trainer_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Decoder> reference_;  // only with a KL term
  Rollout rollout_;
};

}  // namespace fathom
