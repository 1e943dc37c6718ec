// Paged attention in plain loops, sums in double: a place of the cache is looked up through the
// pages, then as attention.
#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/paged_attention/kernels.h"

namespace fathom::reference {
namespace {

// The cached keys and values of one span and one query head.
template <class T>
struct CachedHead {
  ConstView cache;
  const PagedSpan& span;
  const PagedShape& shape;
  int64_t kv_head;

  const T* place(int64_t j) const {
    const int64_t page = span.pages[j / shape.page_tokens];
    return cache.row<T>(page * shape.page_tokens + j % shape.page_tokens);
  }
  const T* key(int64_t j) const { return place(j) + kv_head * shape.attention.qk_dim; }
  const T* value(int64_t j) const {
    return place(j) + shape.value_column + kv_head * shape.attention.v_dim;
  }
};

// `places`: how many tokens this row may see, itself included.
template <class T>
void attend_row(const CachedHead<T>& head, const T* query, int64_t places, T* out) {
  const AttentionShape& shape = head.shape.attention;
  std::vector<double> score(static_cast<size_t>(places), 0.0);
  for (int64_t j = 0; j < places; ++j) {
    double& s = score[static_cast<size_t>(j)];
    for (int64_t c = 0; c < shape.qk_dim; ++c)
      s += static_cast<double>(query[c]) * static_cast<double>(head.key(j)[c]);
    s *= shape.scale;
  }
  const double largest = *std::max_element(score.begin(), score.end());
  double sum = 0;
  for (double s : score) sum += std::exp(s - largest);
  std::vector<double> mixed(static_cast<size_t>(shape.v_dim), 0.0);
  for (int64_t j = 0; j < places; ++j) {
    const double prob = std::exp(score[static_cast<size_t>(j)] - largest) / sum;
    for (size_t c = 0; c < mixed.size(); ++c)
      mixed[c] += prob * static_cast<double>(head.value(j)[c]);
  }
  for (size_t c = 0; c < mixed.size(); ++c) out[c] = static_cast<T>(mixed[c]);
}

}  // namespace

void paged_attention(Stream*, ConstView q, ConstView cache, std::span<const PagedSpan> spans,
                     const PagedShape& shape, View out) {
  dispatch_float(q.dtype, "paged_attention", [&](auto zero) {
    using T = decltype(zero);
    const AttentionShape& heads = shape.attention;
    const int64_t group = heads.heads / heads.kv_heads;
    for (const PagedSpan& span : spans) {
      for (int64_t r = 0; r < span.rows; ++r) {
        const int64_t row = span.row_begin + r;
        for (int64_t h = 0; h < heads.heads; ++h) {
          const CachedHead<T> head{cache, span, shape, h / group};
          attend_row(head, q.row<T>(row) + h * heads.qk_dim, span.length - span.rows + r + 1,
                     out.row<T>(row) + h * heads.v_dim);
        }
      }
    }
  });
}

}  // namespace fathom::reference
