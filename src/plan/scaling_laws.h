// The scaling laws of DeepSeek LLM: learning rate, batch, model and data for a budget of compute.
//
// They were fitted to dense models of this family's first generation, on its data; a model with
// experts is compared through its active weights, which the fit never saw. Budgets C are in
// operations, batches in tokens, model scales M in operations a token. arXiv:2401.02954, 3.
// Threads: pure functions.
#pragma once

#include "model/model_config.h"

namespace fathom {

// The scale variables as the report tabulates them, for layers of 12 d^2 weights.
struct ScaleVariables {
  double non_embedding = 0;    // N1
  double all = 0;              // N2
  double flops_per_token = 0;  // M: training, attention in, vocabulary out
  double ratio_of_non_embedding() const { return 6 * non_embedding / flops_per_token; }
  double ratio_of_all() const { return 6 * all / flops_per_token; }
};
ScaleVariables scale_variables(int64_t n_layer, int64_t d_model, int64_t vocab_size,
                               int64_t sequence_tokens);

// M of a real model: six times its active weights without the vocabulary's, and attention to the
// whole sequence, as the laws count it.
double model_scale(const ModelConfig& config, int64_t sequence_tokens);

struct LawOptima {
  double compute = 0;  // C
  double learning_rate = 0;
  double batch_tokens = 0;
  double model_flops_per_token = 0;  // M
  double data_tokens = 0;            // D
};
LawOptima law_optima(double compute);

}  // namespace fathom
