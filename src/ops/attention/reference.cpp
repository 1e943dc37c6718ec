// Attention in plain loops, sums in double: for each row and head the scores, their softmax, the
// weighted sum of values.
#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/attention/kernels.h"

namespace fathom::reference {
namespace {

template <class T>
double dot(const T* a, const T* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

// One sequence's share of the views, in the layout of one head.
template <class T>
struct Heads {
  ConstView q, k, v;
  const AttentionShape& shape;
  int64_t begin;  // the sequence's first row

  int64_t kv_head(int64_t h) const { return h / (shape.heads / shape.kv_heads); }
  const T* query(int64_t i, int64_t h) const { return q.row<T>(begin + i) + h * shape.qk_dim; }
  const T* key(int64_t j, int64_t h) const {
    return k.row<T>(begin + j) + kv_head(h) * shape.qk_dim;
  }
  const T* value(int64_t j, int64_t h) const {
    return v.row<T>(begin + j) + kv_head(h) * shape.v_dim;
  }
  double score(int64_t i, int64_t j, int64_t h) const {
    return dot(query(i, h), key(j, h), shape.qk_dim) * shape.scale;
  }
};

template <class T>
void attend_row(const Heads<T>& at, int64_t i, int64_t h, T* out, T* lse) {
  std::vector<double> score(static_cast<size_t>(i + 1));
  for (int64_t j = 0; j <= i; ++j) score[static_cast<size_t>(j)] = at.score(i, j, h);
  const double largest = *std::max_element(score.begin(), score.end());
  double sum = 0;
  for (double s : score) sum += std::exp(s - largest);
  std::vector<double> mixed(static_cast<size_t>(at.shape.v_dim), 0.0);
  for (int64_t j = 0; j <= i; ++j) {
    const double prob = std::exp(score[static_cast<size_t>(j)] - largest) / sum;
    for (size_t c = 0; c < mixed.size(); ++c)
      mixed[c] += prob * static_cast<double>(at.value(j, h)[c]);
  }
  for (size_t c = 0; c < mixed.size(); ++c) out[c] = static_cast<T>(mixed[c]);
  *lse = static_cast<T>(largest + std::log(sum));
}

// Gradients of one sequence and one key/value head in double, from the query heads that read it in
// ascending order.
template <class T>
class HeadGradients {
 public:
  HeadGradients(const Heads<T>& at, int64_t rows)
      : at_(at),
        rows_(rows),
        dk_(static_cast<size_t>(rows * at.shape.qk_dim), 0.0),
        dv_(static_cast<size_t>(rows * at.shape.v_dim), 0.0) {}

  // d_score = prob · (dout · value − dout · out); dq and dk follow from score = scale · q · k.
  void add_row(int64_t i, int64_t h, const T* out, double lse, const T* dout, T* dq) {
    const AttentionShape& shape = at_.shape;
    const double delta = dot(dout, out, shape.v_dim);
    std::vector<double> dq_row(static_cast<size_t>(shape.qk_dim), 0.0);
    for (int64_t j = 0; j <= i; ++j) {
      const double prob = std::exp(at_.score(i, j, h) - lse);
      const double d_score = prob * (dot(dout, at_.value(j, h), shape.v_dim) - delta) * shape.scale;
      for (int64_t c = 0; c < shape.v_dim; ++c) {
        dv_[static_cast<size_t>(j * shape.v_dim + c)] += prob * static_cast<double>(dout[c]);
      }
      for (int64_t c = 0; c < shape.qk_dim; ++c) {
        dq_row[static_cast<size_t>(c)] += d_score * static_cast<double>(at_.key(j, h)[c]);
        dk_[static_cast<size_t>(j * shape.qk_dim + c)] +=
            d_score * static_cast<double>(at_.query(i, h)[c]);
      }
    }
    for (size_t c = 0; c < dq_row.size(); ++c) dq[c] = static_cast<T>(dq_row[c]);
  }

  void store(View dk, View dv, int64_t kv_head) const {
    const AttentionShape& shape = at_.shape;
    for (int64_t j = 0; j < rows_; ++j) {
      T* dk_row = dk.row<T>(at_.begin + j) + kv_head * shape.qk_dim;
      T* dv_row = dv.row<T>(at_.begin + j) + kv_head * shape.v_dim;
      for (int64_t c = 0; c < shape.qk_dim; ++c)
        dk_row[c] = static_cast<T>(dk_[static_cast<size_t>(j * shape.qk_dim + c)]);
      for (int64_t c = 0; c < shape.v_dim; ++c)
        dv_row[c] = static_cast<T>(dv_[static_cast<size_t>(j * shape.v_dim + c)]);
    }
  }

 private:
  const Heads<T>& at_;
  int64_t rows_;
  std::vector<double> dk_, dv_;
};

}  // namespace

void attention(Stream*, ConstView q, ConstView k, ConstView v, ConstView starts,
               const AttentionShape& shape, View out, View lse) {
  dispatch_float(q.dtype, "attention", [&](auto zero) {
    using T = decltype(zero);
    const int32_t* start = starts.row<int32_t>(0);
    for (int64_t s = 0; s + 1 < starts.shape.elements(); ++s) {
      const Heads<T> at{q, k, v, shape, start[s]};
      for (int64_t i = 0; i < start[s + 1] - start[s]; ++i) {
        for (int64_t h = 0; h < shape.heads; ++h) {
          attend_row(at, i, h, out.row<T>(at.begin + i) + h * shape.v_dim,
                     lse.row<T>(at.begin + i) + h);
        }
      }
    }
  });
}

void attention_backward(Stream*, ConstView q, ConstView k, ConstView v, ConstView out,
                        ConstView lse, ConstView dout, ConstView starts,
                        const AttentionShape& shape, View dq, View dk, View dv) {
  dispatch_float(q.dtype, "attention_backward", [&](auto zero) {
    using T = decltype(zero);
    const int32_t* start = starts.row<int32_t>(0);
    const int64_t group = shape.heads / shape.kv_heads;
    for (int64_t s = 0; s + 1 < starts.shape.elements(); ++s) {
      const Heads<T> at{q, k, v, shape, start[s]};
      const int64_t rows = start[s + 1] - start[s];
      for (int64_t g = 0; g < shape.kv_heads; ++g) {
        HeadGradients<T> gradients(at, rows);
        for (int64_t h = g * group; h < (g + 1) * group; ++h) {
          for (int64_t i = 0; i < rows; ++i) {
            const int64_t row = at.begin + i;
            gradients.add_row(
                i, h, out.row<T>(row) + h * shape.v_dim, static_cast<double>(lse.row<T>(row)[h]),
                dout.row<T>(row) + h * shape.v_dim, dq.row<T>(row) + h * shape.qk_dim);
          }
        }
        gradients.store(dk, dv, g);
      }
    }
  });
}

}  // namespace fathom::reference
