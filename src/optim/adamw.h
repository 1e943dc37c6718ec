// AdamW with global gradient clipping.                               Loshchilov & Hutter
// (arXiv:1711.05101), algorithm 2
//
// Arithmetic as torch.optim.AdamW and clip_grad_norm_. A parameter without a gradient in this step
// is left alone; a routed expert without tokens has a gradient of zero. Moments are f32, one pair
// per parameter, allocated at the first step.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/kernel_table.h"
#include "runtime/parameter.h"

namespace fathom {

struct AdamWConfig {
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
  double weight_decay = 0.1;  // matrices only
  double clip_norm = 1.0;     // 0: no clipping
};

struct StepResult {
  double grad_norm = 0;  // before clipping
  bool applied = false;  // false: the norm was not finite and nothing changed
};

class AdamW {
 public:
  AdamW(const AdamWConfig& config, ParameterList parameters);

  // Applies the gradients and clears them.
  StepResult step(Pass& pass, double lr);
  void clear_gradients();

  int64_t steps() const { return steps_; }
  const AdamWConfig& config() const { return config_; }
  void set_weight_decay(double decay) { config_.weight_decay = decay; }

  struct Moments {
    Tensor m, v;  // empty until the parameter's first step
    int64_t steps = 0;
  };
  // For saving and resuming: one entry per trained parameter, in the order of `parameters()`.
  const ParameterList& parameters() const { return parameters_; }
  std::vector<Moments>& moments() { return moments_; }
  void set_steps(int64_t steps) { steps_ = steps; }
  void allocate_moments(Pass& pass);  // zero moments for all parameters

 private:
  double gradient_norm(Pass& pass) const;
  void update(Pass& pass, Parameter& parameter, Moments& moments, const AdamWStep& step);

  AdamWConfig config_;
  ParameterList parameters_;  // trained ones only
  std::vector<Moments> moments_;
  int64_t steps_ = 0;
};

}  // namespace fathom
