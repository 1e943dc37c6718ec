#include "plan/scaling_laws.h"

#include <cmath>

#include "plan/model_cost.h"

namespace fathom {

ScaleVariables scale_variables(int64_t n_layer, int64_t d_model, int64_t vocab_size,
                               int64_t sequence_tokens) {
  const double layers = static_cast<double>(n_layer), d = static_cast<double>(d_model);
  ScaleVariables scale;
  scale.non_embedding = 12 * layers * d * d;
  scale.all = scale.non_embedding + static_cast<double>(vocab_size) * d;
  scale.flops_per_token =
      6 * scale.non_embedding + 12 * layers * d * static_cast<double>(sequence_tokens);
  return scale;
}

double model_scale(const ModelConfig& c, int64_t sequence_tokens) {
  const ModelSize size = model_size(c);
  const int64_t weights = size.non_embedding - (size.total - size.active);
  const int64_t value_dim = c.mla() ? c.v_head_dim : c.head_dim;
  // Two products a head and key, forward and twice backward: 12 L d S where the heads make up d.
  const int64_t attention =
      6 * c.num_hidden_layers * c.num_attention_heads * (c.qk_head_dim() + value_dim);
  return 6 * static_cast<double>(weights) +
         static_cast<double>(attention) * static_cast<double>(sequence_tokens);
}

LawOptima law_optima(double compute) {
  LawOptima optima;
  optima.compute = compute;
  optima.learning_rate = 0.3118 * std::pow(compute, -0.1250);
  optima.batch_tokens = 0.2920 * std::pow(compute, 0.3271);
  optima.model_flops_per_token = 0.1715 * std::pow(compute, 0.5243);
  optima.data_tokens = 5.8316 * std::pow(compute, 0.4757);
  return optima;
}

}  // namespace fathom
