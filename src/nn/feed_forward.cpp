#include "nn/feed_forward.h"

#include "nn/make_parameter.h"
#include "ops/linear/linear.h"
#include "ops/swiglu/swiglu.h"

namespace fathom {

FeedForward::FeedForward(int64_t hidden_size, int64_t intermediate_size, const std::string& prefix)
    : gate_up_proj_(stacked_parameter(prefix + "gate_up_proj.weight", hidden_size,
                                      {{prefix + "gate_proj.weight", intermediate_size},
                                       {prefix + "up_proj.weight", intermediate_size}})),
      down_proj_(matrix_parameter(prefix + "down_proj.weight", hidden_size, intermediate_size)) {}

Tensor FeedForward::forward(Pass& pass, const Tensor& x) const {
  return linear(pass, swiglu(pass, linear(pass, x, gate_up_proj_)), down_proj_);
}

void FeedForward::list(ParameterList& out) {
  out.push_back(&gate_up_proj_);
  out.push_back(&down_proj_);
}

}  // namespace fathom
