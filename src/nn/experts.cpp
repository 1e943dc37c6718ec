#include "nn/experts.h"

#include <algorithm>
#include <numeric>

#include "nn/make_parameter.h"
#include "ops/expert_rows/expert_rows.h"
#include "ops/grouped_linear/grouped_linear.h"
#include "ops/linear/linear.h"
#include "ops/swiglu/swiglu.h"

namespace fathom {

namespace {

std::span<const int32_t> routes_to_follow(const Pass& pass, size_t index) {
  const bool replays = pass.routes && pass.routes->replay && index < pass.routes->expert.size();
  return replays ? std::span<const int32_t>(pass.routes->expert[index])
                 : std::span<const int32_t>();
}

void write_down(const Tensor& expert, RouteLog& log, size_t index) {
  if (log.expert.size() <= index) log.expert.resize(index + 1);
  const int32_t* ids = expert.data<int32_t>();
  log.expert[index].assign(ids, ids + expert.shape().elements());
}

}  // namespace

Experts::Experts(const ExpertsShape& shape, const std::string& prefix) : shape_(shape) {
  const int64_t experts = shape.route.n_routed_experts, width = shape.moe_intermediate_size;
  gate_ = matrix_parameter(prefix + "gate.weight", experts, shape.hidden_size);
  if (has_bias()) {
    e_score_correction_bias_ = vector_parameter(prefix + "gate.e_score_correction_bias", experts);
    e_score_correction_bias_.trained = false;
  }
  gate_up_proj_ =
      expert_parameter(prefix + "experts.gate_up_proj.weight", experts, shape.hidden_size,
                       {{prefix + "experts.{}.gate_proj.weight", width},
                        {prefix + "experts.{}.up_proj.weight", width}});
  down_proj_ = expert_parameter(prefix + "experts.down_proj.weight", experts, width,
                                {{prefix + "experts.{}.down_proj.weight", shape.hidden_size}});
  if (shape.n_shared_experts > 0) {
    shared_.emplace(shape.hidden_size, shape.n_shared_experts * width, prefix + "shared_experts.");
  }
}

Tensor Experts::forward(Pass& pass, const Tensor& x, const RowContext& context,
                        size_t index) const {
  RouteShape route = shape_.route;
  if (context.sequence_share.empty()) route.balance_alpha = 0;  // no training step: no balance loss
  const Tensor logits = linear(pass, x, gate_, nullptr, Operands::kExact);  // [tokens, experts]
  const Routed routed =
      topk_route(pass, logits, e_score_correction_bias_.value, route, context.starts,
                 context.sequence_share, routes_to_follow(pass, index));
  if (pass.routes && !pass.routes->replay) write_down(routed.expert, *pass.routes, index);
  if (pass.stats)
    pass.stats->add_expert_counts(index, count_experts(routed.expert, route.n_routed_experts));

  const ExpertOrder order = order_by_expert(pass, routed.expert, route.n_routed_experts);
  const Tensor rows =
      expert_gather(pass, x, order, route.num_experts_per_tok);  // [tokens · k, hidden_size]
  const Tensor inner = swiglu(pass, grouped_linear(pass, rows, order.offsets, gate_up_proj_));
  const Tensor outputs =
      grouped_linear(pass, inner, order.offsets, down_proj_);  // [tokens · k, hidden_size]
  const Tensor base = shared_ ? shared_->forward(pass, x) : Tensor();
  return expert_combine(pass, outputs, order, routed.weight, base);
}

void Experts::list(ParameterList& out) {
  out.push_back(&gate_);
  if (has_bias()) out.push_back(&e_score_correction_bias_);
  out.push_back(&gate_up_proj_);
  out.push_back(&down_proj_);
  if (shared_) shared_->list(out);
}

void Experts::balance_bias(const std::vector<int64_t>& counts, double speed) {
  FATHOM_CHECK(static_cast<int64_t>(counts.size()) == n_routed_experts(),
               "balance_bias: ", counts.size(), " counts for ", n_routed_experts(), " experts");
  if (!has_bias()) return;
  const int64_t sum = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  float* bias = e_score_correction_bias_.value.mutable_data<float>();
  const auto experts = static_cast<int64_t>(counts.size());
  for (int64_t i = 0; i < experts; ++i) {
    const int64_t scaled =
        counts[static_cast<size_t>(i)] * experts;  // compared with the mean without rounding
    if (scaled != sum) bias[i] += static_cast<float>(scaled > sum ? -speed : speed);
  }
}

double max_violation(const std::vector<int64_t>& counts) {
  const int64_t sum = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  if (sum == 0) return 0;
  const double mean = static_cast<double>(sum) / static_cast<double>(counts.size());
  return (static_cast<double>(*std::max_element(counts.begin(), counts.end())) - mean) / mean;
}

}  // namespace fathom
