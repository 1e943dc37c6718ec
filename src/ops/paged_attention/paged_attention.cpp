#include "ops/paged_attention/paged_attention.h"

namespace fathom {
namespace {

void check_shape(const Tensor& q, const Tensor& cache, const PagedShape& shape) {
  const AttentionShape& heads = shape.attention;
  FATHOM_CHECK(heads.heads > 0 && heads.kv_heads > 0 && heads.heads % heads.kv_heads == 0,
               "paged_attention: ", heads.heads, " query heads cannot share ", heads.kv_heads,
               " key/value heads evenly; check num_key_value_heads");
  FATHOM_CHECK(heads.scale > 0, "paged_attention: expected a positive scale of q · k, got ",
               heads.scale, "; usually qk_dim^(-1/2)");
  FATHOM_CHECK(q.cols() == heads.heads * heads.qk_dim, "paged_attention: q is ", q.shape(),
               ", expected [rows, ", heads.heads, " heads of ", heads.qk_dim, "]");
  const int64_t keys = heads.kv_heads * heads.qk_dim;
  const int64_t values = shape.value_column + heads.kv_heads * heads.v_dim;
  FATHOM_CHECK(shape.value_column >= 0 && keys <= cache.cols() && values <= cache.cols(),
               "paged_attention: keys end at column ", keys, " and values at column ", values,
               " but a cached row is ", cache.cols(), " wide");
  FATHOM_CHECK(q.dtype() == cache.dtype(), "paged_attention: q is ", info(q.dtype()).name,
               " but the cache holds ", info(cache.dtype()).name, "; one dtype is expected");
  FATHOM_CHECK(shape.page_tokens > 0 && cache.rows() % shape.page_tokens == 0,
               "paged_attention: a cache of ", cache.rows(),
               " rows is no whole number of pages of ", shape.page_tokens, " tokens");
}

void check_span(const PagedSpan& span, size_t index, int64_t pages, int64_t page_tokens) {
  FATHOM_CHECK(span.rows >= 0 && span.length >= span.rows, "paged_attention: span ", index, " has ",
               span.rows, " rows but a cached length of ", span.length,
               "; append the rows to the cache before attending");
  FATHOM_CHECK(span.pages != nullptr || span.length == 0, "paged_attention: span ", index,
               " of length ", span.length, " has no page list");
  for (int64_t p = 0; p * page_tokens < span.length; ++p) {
    FATHOM_CHECK(span.pages[p] >= 0 && span.pages[p] < pages, "paged_attention: span ", index,
                 " names page ", span.pages[p], " at place ", p, " but the cache has ", pages,
                 " pages");
  }
}

}  // namespace

Tensor paged_attention(Pass& pass, const Tensor& q, const Tensor& cache,
                       std::span<const PagedSpan> spans, const PagedShape& shape) {
  check_shape(q, cache, shape);
  int64_t rows = 0;
  for (size_t i = 0; i < spans.size(); ++i) {
    FATHOM_CHECK(spans[i].row_begin == rows, "paged_attention: span ", i, " begins at row ",
                 spans[i].row_begin, ", expected row ", rows, " where the spans before it end");
    check_span(spans[i], i, cache.rows() / shape.page_tokens, shape.page_tokens);
    rows += spans[i].rows;
  }
  FATHOM_CHECK(rows == q.rows(), "paged_attention: the spans cover ", rows, " rows of ", q.rows());
  Tensor out = pass.empty({rows, shape.attention.heads * shape.attention.v_dim}, q.dtype());
  pass.kernels.paged_attention(pass.stream, q.read(), cache.read(), spans, shape, out.write());
  return out;
}

}  // namespace fathom
