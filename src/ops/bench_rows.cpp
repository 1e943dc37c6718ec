#include "ops/bench_rows.h"

#include "ops/adamw/kernels.h"
#include "ops/add/kernels.h"
#include "ops/attention/kernels.h"
#include "ops/basic/kernels.h"
#include "ops/embedding/kernels.h"
#include "ops/expert_rows/kernels.h"
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

std::vector<BenchRow> all_bench_rows() {
  std::vector<BenchRow> rows;
  for (const auto& folder :
       {&matmul_bench, &attention_bench, &paged_attention_bench, &mla_keys_bench, &rope_bench,
        &rms_norm_bench, &swiglu_bench, &add_bench, &embedding_bench, &basic_bench, &route_bench,
        &expert_rows_bench, &linear_objective_bench, &softmax_weights_bench, &adamw_bench}) {
    for (BenchRow& row : folder()) rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace fathom
