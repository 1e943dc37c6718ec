// The mixture of shared and routed experts.          DeepSeekMoE (arXiv:2401.06066); DeepSeek-V3
// (arXiv:2412.19437), 2.1.2
//
//   y = shared(x) + sum over the chosen experts, in ascending expert order, of weight · expert(x)
// How experts are scored and chosen: ops/route/route.h. Where the method is noaux_tc,
// `e_score_correction_bias` steers the choice; it is moved by balance_bias after each step, never
// by a gradient. Cost follows the chosen experts only, whatever their total number.
#pragma once

#include <optional>
#include <string>

#include "nn/feed_forward.h"
#include "nn/row_context.h"
#include "ops/route/route.h"

namespace fathom {

struct ExpertsShape {
  int64_t hidden_size = 0, moe_intermediate_size = 0;
  int64_t n_shared_experts = 0;
  RouteShape route;
};

class Experts {
 public:
  Experts(const ExpertsShape& shape, const std::string& prefix);

  // `index` numbers the expert layers of the model, for statistics.
  Tensor forward(Pass& pass, const Tensor& x, const RowContext& context, size_t index) const;
  void list(ParameterList& out);
  // b_i += speed · sign(mean(counts) − counts_i): after each optimiser step, counts over the whole
  // step. Nothing where the gate has no bias.
  void balance_bias(const std::vector<int64_t>& counts, double speed);
  int64_t n_routed_experts() const { return shape_.route.n_routed_experts; }
  void set_balance_alpha(double alpha) { shape_.route.balance_alpha = alpha; }

 private:
  bool has_bias() const { return shape_.route.topk_method == TopkMethod::kNoauxTc; }

  ExpertsShape shape_;
  Parameter gate_;                     // [experts, hidden_size]
  Parameter e_score_correction_bias_;  // [experts] f32, a buffer; only with noaux_tc
  Parameter gate_up_proj_;             // [experts, 2 · moe_intermediate_size, hidden_size]
  Parameter down_proj_;                // [experts, hidden_size, moe_intermediate_size]
  std::optional<FeedForward>
      shared_;  // one SwiGLU of width n_shared_experts · moe_intermediate_size
};

// (max load − mean load) / mean load; 0 where nothing was routed.
double max_violation(const std::vector<int64_t>& counts);

}  // namespace fathom
