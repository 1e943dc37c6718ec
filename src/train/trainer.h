// One optimiser step of any objective, and evaluation: the part that pretraining, tuning and
// reinforcement learning share.
//
// Threads: one (the compute thread).  Lifetime: device and decoder outlive the trainer.
#pragma once

#include <functional>
#include <vector>

#include "model/decoder.h"
#include "ops/linear_objective/linear_objective.h"
#include "optim/adamw.h"

namespace fathom {

struct StepOptions {
  double lr = 0;
  double mtp_weight = 0;  // of the multi-token loss, averaged over depths; 0 leaves the heads out
  bool mtp_detached = false;     // the heads learn, the main model does not learn through them
  double bias_update_speed = 0;  // of the expert correction bias, applied after the step
  // The objective of each microbatch; empty: cross-entropy under the one normaliser of the step.
  std::function<TokenObjective(size_t microbatch)> objective;
  // Experts that the rows of each microbatch must take, as the sampler did; empty: rows choose for
  // themselves.
  std::function<RouteLog*(size_t microbatch)> routes;
};

struct StepReport {
  double loss = 0;      // as the objective gives it; cross-entropy: nats per weighted token
  double mtp_loss = 0;  // unweighted mean
  double balance_loss = 0;
  double grad_norm = 0;  // before clipping
  bool applied = false;  // false: loss or gradient was not finite; weights are untouched
  int64_t tokens = 0;
  std::vector<std::vector<int64_t>> expert_counts;  // [expert layers][n_routed_experts]
};

struct EvalReport {
  double loss = 0;    // nats per weighted token
  double tokens = 0;  // sum of weights
  double max_vio =
      0;  // mean over expert layers of (max load − mean load) / mean load, over all batches
  double mtp_loss = 0;
  std::vector<std::vector<int64_t>> expert_counts;
};

class Trainer {
 public:
  Trainer(const KernelTable& kernels, Allocator& memory, Decoder& decoder,
          const AdamWConfig& config);

  // Gradients of all microbatches under one normaliser, then one update. `microbatches` stay alive
  // during the call.
  StepReport step(const std::vector<Batch>& microbatches, const StepOptions& options);
  // The gradients alone, left in the parameters (step = this + apply); for tests and for comparing
  // with other programs.
  StepReport accumulate(const std::vector<Batch>& microbatches, const StepOptions& options);
  StepReport apply(StepReport report, const StepOptions& options);

  EvalReport evaluate(const std::vector<Batch>& batches);
  // Log-probability of each target by the training form; [rows] per batch, 0 where there is none.
  std::vector<double> logprobs(const Batch& batch);

  AdamW& optimizer() { return optimizer_; }
  Decoder& decoder() { return decoder_; }
  Pass pass() { return Pass{kernels_, memory_}; }

 private:
  void run_microbatch(const Batch& batch, size_t index, double normaliser, double mtp_normaliser,
                      const StepOptions& options, StepReport& report, PassStats& stats);
  void balance(const StepReport& report, double speed);

  const KernelTable& kernels_;
  Allocator& memory_;
  Decoder& decoder_;
  AdamW optimizer_;
};

// The mean over layers of the largest excess load.
double mean_max_violation(const std::vector<std::vector<int64_t>>& expert_counts);

}  // namespace fathom
