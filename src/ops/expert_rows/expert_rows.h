// Bringing token rows to experts and back.
//   order_by_expert: slots (token · k + place) sorted by expert, then token
//   gather:   rows[j] = x[token of slot order[j]]                                 [tokens · k,
//   hidden] combine:  out[t] = base[t] + sum over t's slots of weight · rows[slot], in ascending
//   expert order, in f32
// `base` is the shared experts' output (or empty). Products alone read gathered rows and made
// combined ones, so the former and the gradient of the latter are operands (ops/operand.h).
#pragma once

#include "ops/kernel_table.h"
#include "runtime/pass.h"

namespace fathom {

struct ExpertOrder {
  Tensor offsets;  // [experts + 1] i32
  Tensor order;    // [tokens · k] i32
  Tensor place;    // [tokens · k] i32, the inverse of order
};

ExpertOrder order_by_expert(Pass& pass, const Tensor& expert, int64_t n_routed_experts);
Tensor expert_gather(Pass& pass, const Tensor& x, const ExpertOrder& order,
                     int64_t num_experts_per_tok);
Tensor expert_combine(Pass& pass, const Tensor& rows, const ExpertOrder& order,
                      const Tensor& weight, const Tensor& base);

}  // namespace fathom
