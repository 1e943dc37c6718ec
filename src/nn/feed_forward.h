// The dense SwiGLU feed-forward: down( silu(gate x) · (up x) ).           Shazeer 2020
// (arXiv:2002.05202), eq. 6
#pragma once

#include <string>

#include "runtime/parameter.h"

namespace fathom {

class FeedForward {
 public:
  // `prefix` is the published one, "model.layers.0.mlp."
  FeedForward(int64_t hidden_size, int64_t intermediate_size, const std::string& prefix);

  Tensor forward(Pass& pass, const Tensor& x) const;  // [tokens, hidden_size] -> the same
  void list(ParameterList& out);

 private:
  Parameter gate_up_proj_;  // [2 · intermediate_size, hidden_size], gate first
  Parameter down_proj_;     // [hidden_size, intermediate_size]
};

}  // namespace fathom
