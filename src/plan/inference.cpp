#include "plan/inference.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "plan/as_double.h"
#include "plan/model_cost.h"

namespace fathom {
namespace {

// Data sheets of the makers; rates without sparsity.
constexpr std::array<Accelerator, 4> kAccelerators = {{
    {"h200", 989e12, 1979e12, 4.8e12, 141e9},
    {"h800", 989.5e12, 1979e12, 3.35e12, 80e9},
    {"h100", 989.5e12, 1979e12, 3.35e12, 80e9},
    {"a100", 312e12, 312e12, 2.039e12, 80e9},  // no fp8 units
}};

constexpr double kUsableShare = 0.9;  // the rest: activations, buffers, fragments

}  // namespace

const Accelerator& find_accelerator(const std::string& name) {
  std::string known;
  for (const Accelerator& each : kAccelerators) {
    if (name == each.name) return each;
    known += concat(known.empty() ? "" : ", ", each.name);
  }
  fail(ErrorCode::kUsage, "accelerator is '", name, "'; expected one of ", known);
}

double distinct_experts(int64_t n_routed_experts, int64_t num_experts_per_tok, int64_t batch) {
  if (n_routed_experts == 0) return 0;
  const double all = as_double(n_routed_experts);
  return all * (1 - std::pow(1 - as_double(num_experts_per_tok) / all, as_double(batch)));
}

DecodeBound decode_bound(const ModelConfig& c, const InferenceInputs& in, int64_t batch) {
  FATHOM_CHECK(batch > 0 && in.accelerators > 0, "decode_bound: batch ", batch, " on ",
               in.accelerators, " accelerators; expected 1 or more of each");
  DecodeBound bound;
  bound.batch = batch;
  bound.distinct_experts = distinct_experts(c.n_routed_experts, c.num_experts_per_tok, batch);
  const ModelSize size = model_size(c);
  const int64_t experts = main_expert_layers(c) * expert_weights(c);  // one in each layer
  const double always = as_double(size.active_without_embedding - experts * c.num_experts_per_tok);
  bound.weight_bytes = in.weight_bytes * (always + as_double(experts) * bound.distinct_experts);
  bound.cache_bytes = as_double(batch) * as_double(in.context_tokens) * in.cache_bytes_per_token;
  bound.fits = bound.cache_bytes <= inference_fit(c, in).cache_bytes;
  const double machines = as_double(in.accelerators);
  const double flops = in.weight_bytes <= 1 ? in.accelerator.fp8_flops : in.accelerator.bf16_flops;
  bound.memory_seconds =
      (bound.weight_bytes + bound.cache_bytes) / (machines * in.accelerator.memory_bandwidth);
  bound.compute_seconds =
      as_double(batch) * decode_flops_at(c, in.context_tokens) / (machines * flops);
  bound.tokens_per_second =
      as_double(batch) / std::max(bound.memory_seconds, bound.compute_seconds);
  return bound;
}

InferenceFit inference_fit(const ModelConfig& c, const InferenceInputs& in) {
  InferenceFit fit;
  fit.weight_bytes = in.weight_bytes * as_double(model_size(c).total);
  fit.usable_bytes = kUsableShare * as_double(in.accelerators) * in.accelerator.memory_bytes;
  fit.cache_bytes = std::max(0.0, fit.usable_bytes - fit.weight_bytes);
  fit.cached_tokens = fit.cache_bytes / in.cache_bytes_per_token;
  return fit;
}

ProductionRates production_rates(const ModelConfig& c, const ProductionDay& day) {
  const int64_t context = std::llround(day.context_tokens);
  ProductionRates rates;
  const double output = day.output_per_second_per_node / day.gpus_per_node;
  rates.decode_flops_per_gpu = output * decode_flops_at(c, context);
  rates.cache_bytes_per_second_per_gpu =
      output * day.context_tokens * as_double(c.cache_bytes_per_token(2));
  rates.computed_input_per_second_per_node =
      day.input_per_second_per_node * (1 - day.cached_tokens / day.input_tokens);
  rates.prefill_flops_per_gpu =
      rates.computed_input_per_second_per_node / day.gpus_per_node * forward_flops_at(c, context);
  rates.dollars_per_day = day.nodes * day.gpus_per_node * 24 * day.dollars_per_gpu_hour;
  return rates;
}

}  // namespace fathom
