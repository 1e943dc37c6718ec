// The roofline of decoding on one kind of accelerator: how fast it can be at most, by memory and by
// arithmetic.
//
// Rates are upper bounds: weights and caches are read once a step and nothing else takes time.
// The input embedding is left out, as a token reads one row of it. Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/model_config.h"

namespace fathom {

// One accelerator, by its maker's figures.
struct Accelerator {
  const char* name;
  double bf16_flops = 0, fp8_flops = 0;  // a second, dense
  double memory_bandwidth = 0;           // bytes a second
  double memory_bytes = 0;
};
const Accelerator& find_accelerator(const std::string& name);  // Error(kUsage) names all

struct InferenceInputs {
  Accelerator accelerator;
  int64_t accelerators = 1;  // weights are shared out; their memory and rates add up
  int64_t context_tokens = 4096;
  double weight_bytes = 2;  // an element; 1: fp8, and its rate of arithmetic
  double cache_bytes_per_token = 0;
};

// Experts that a batch of independent tokens reaches in one layer, uniformly routed.
double distinct_experts(int64_t n_routed_experts, int64_t num_experts_per_tok, int64_t batch);

struct DecodeBound {
  int64_t batch = 0;
  double distinct_experts = 0;
  double weight_bytes = 0, cache_bytes = 0;  // read a step
  double memory_seconds = 0, compute_seconds = 0;
  double tokens_per_second = 0;
  bool fits = true;  // caches of the batch beside the weights
};
struct InferenceFit {
  double weight_bytes = 0;  // of the whole model
  double usable_bytes = 0;  // 90 % of the memory
  double cache_bytes = 0;   // what is left; 0 where the weights do not fit
  double cached_tokens = 0;
};
InferenceFit inference_fit(const ModelConfig& config, const InferenceInputs& inputs);
DecodeBound decode_bound(const ModelConfig& config, const InferenceInputs& inputs, int64_t batch);

// The published day of the service in February 2025, and what its rates ask of one GPU.
struct ProductionDay {
  double input_tokens = 608e9, cached_tokens = 342e9, output_tokens = 168e9;
  double context_tokens = 4989;
  double nodes = 226.75, gpus_per_node = 8;
  double output_per_second_per_node = 14.8e3, input_per_second_per_node = 73.7e3;
  double dollars_per_gpu_hour = 2;
};
struct ProductionRates {
  double decode_flops_per_gpu = 0, cache_bytes_per_second_per_gpu = 0;
  double computed_input_per_second_per_node = 0, prefill_flops_per_gpu = 0;
  double dollars_per_day = 0;
};
ProductionRates production_rates(const ModelConfig& config, const ProductionDay& day = {});

}  // namespace fathom
