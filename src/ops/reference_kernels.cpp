#include "ops/adamw/kernels.h"
#include "ops/add/kernels.h"
#include "ops/attention/kernels.h"
#include "ops/basic/kernels.h"
#include "ops/embedding/kernels.h"
#include "ops/expert_rows/kernels.h"
#include "ops/kernel_table.h"
#include "ops/linear_objective/kernels.h"
#include "ops/matmul/kernels.h"
#include "ops/mla_keys/kernels.h"
#include "ops/paged_attention/kernels.h"
#include "ops/rms_norm/kernels.h"
#include "ops/rope/kernels.h"
#include "ops/route/kernels.h"
#include "ops/softmax_weights/kernels.h"
#include "ops/swiglu/kernels.h"

namespace fathom {

KernelTable reference_kernels() {
  KernelTable table;
  table.fill_zero = &reference::fill_zero;
  table.copy = &reference::copy;
  table.accumulate = &reference::accumulate;

  table.matmul_nt = &reference::matmul_nt;
  table.matmul_nn = &reference::matmul_nn;
  table.matmul_tn = &reference::matmul_tn;
  table.matmul_exact_nt = &reference::matmul_nt;
  table.matmul_exact_nn = &reference::matmul_nn;
  table.matmul_exact_tn = &reference::matmul_tn;
  table.grouped_nt = &reference::grouped_nt;
  table.grouped_nn = &reference::grouped_nn;
  table.grouped_stored = &reference::grouped_stored;
  table.grouped_tn = &reference::grouped_tn;
  table.packed_floats = &reference::packed_floats;
  table.pack = &reference::pack;
  table.matmul_packed = &reference::matmul_packed;
  table.grouped_packed = &reference::grouped_packed;
  table.add_bias = &reference::add_bias;
  table.bias_backward = &reference::bias_backward;

  table.add = &reference::add;
  table.rms_norm = &reference::rms_norm;
  table.rms_norm_backward = &reference::rms_norm_backward;
  table.rope = &reference::rope;
  table.swiglu = &reference::swiglu;
  table.swiglu_backward = &reference::swiglu_backward;
  table.embedding = &reference::embedding;
  table.embedding_backward = &reference::embedding_backward;
  table.gather_rows = &reference::gather_rows;
  table.scatter_rows = &reference::scatter_rows;
  table.scatter_add_rows = &reference::scatter_add_rows;

  table.attention = &reference::attention;
  table.attention_backward = &reference::attention_backward;
  table.paged_attention = &reference::paged_attention;
  table.mla_keys = &reference::mla_keys;
  table.mla_keys_backward = &reference::mla_keys_backward;

  table.topk_route = &reference::topk_route;
  table.topk_route_backward = &reference::topk_route_backward;
  table.balance_loss = &reference::balance_loss;
  table.order_by_expert = &reference::order_by_expert;
  table.expert_gather = &reference::expert_gather;
  table.expert_gather_backward = &reference::expert_gather_backward;
  table.expert_combine = &reference::expert_combine;
  table.expert_combine_backward = &reference::expert_combine_backward;

  table.target_logprob = &reference::target_logprob;
  table.target_logprob_backward = &reference::target_logprob_backward;

  table.softmax_weights = &reference::softmax_weights;

  table.adamw = &reference::adamw;
  table.sum_squares = &reference::sum_squares;
  return table;
}

}  // namespace fathom
