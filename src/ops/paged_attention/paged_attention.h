// Attention of new rows over keys and values that lie in the pages of a cache (their own included).
//   q      [rows, heads · qk_dim]
//   cache  [pages · page_tokens, width]
//   out    [rows, heads · v_dim]
// Row r of a span of n rows and cached length L attends to places 0 … L − n + r. Serves K/V pages
// (mha, gqa, mqa) and, with one key/value head whose value is the first part of its key, the latent
// pages of MLA in the absorbed form (DeepSeek-V2, arXiv:2405.04434, section 2.1.2). Inference only:
// there is no backward.
// A span's result has the same bits alone and beside other spans, on any number of threads. How a
// prompt is cut into spans may show in the rounding: decoded rows are computed in another order.
#pragma once

#include <span>

#include "ops/kernel_table.h"
#include "runtime/pass.h"

namespace fathom {

Tensor paged_attention(Pass& pass, const Tensor& q, const Tensor& cache,
                       std::span<const PagedSpan> spans, const PagedShape& shape);

}  // namespace fathom
