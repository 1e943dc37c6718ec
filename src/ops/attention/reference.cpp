// Attention in plain loops, sums in double: for each row and head the scores, their softmax, the
// weighted sum of values. Below, in bf16, products and the rounding between them are specified to
// the bit.
#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/attention/kernels.h"
#include "ops/matmul/kernels.h"

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

namespace {

// A matrix of f32 in memory of its own.
struct Matrix {
  Matrix(int64_t rows, int64_t cols)
      : values_(static_cast<size_t>(rows * cols)), rows_(rows), cols_(cols) {}
  float* row(int64_t i) { return values_.data() + i * cols_; }
  View view() { return {values_.data(), DType::kF32, Shape{rows_, cols_}, cols_}; }

 private:
  std::vector<float> values_;
  int64_t rows_, cols_;
};

ConstView head_of(const ConstView& x, int64_t begin, int64_t rows, int64_t head, int64_t dim) {
  return x.rows_at(begin, rows).columns(head * dim, dim);
}
View head_of(const View& x, int64_t begin, int64_t rows, int64_t head, int64_t dim) {
  return x.rows_at(begin, rows).columns(head * dim, dim);
}

constexpr float kLog2E = 1.44269504f, kLn2 = 0.693147181f;

// 2^t for t <= 0 as every fast version takes it (ops/vector_math-inl.h), so that its rounding to
// bf16 is the same.
float exp2_nonpositive(float t) {
  if (t < -126.0f) t = -126.0f;
  if (std::isnan(t)) return t;
  const float n = (t + 0x1.8p23f) - 0x1.8p23f, f = t - n;
  float p = 0x1.41fbbcp-13f;
  for (const float c :
       {0x1.5f3e52p-10f, 0x1.3b2d4cp-7f, 0x1.c6aee8p-5f, 0x1.ebfbdcp-3f, 0x1.62e43p-1f, 1.0f})
    p = std::fma(p, f, c);
  return std::ldexp(p, static_cast<int>(n));
}

// The sum of 16 chains, element i in chain i % 16: four chains at a time, of which the even and the
// odd ones are joined first; of their four results the same.
class ChainSum {
 public:
  float& operator[](int64_t i) { return chain_[i % 16]; }
  float total() const {
    float of_four[4];
    for (int64_t i = 0; i < 4; ++i) of_four[i] = join(chain_ + 4 * i);
    return join(of_four);
  }

 private:
  static float join(const float* x) { return (x[0] + x[2]) + (x[1] + x[3]); }
  float chain_[16] = {};
};

// One sequence and one head: blocks of keys in ascending order.
void attend_bf16(const ConstView& q, const ConstView& k, const ConstView& v, float scale, View out,
                 View lse) {
  const int64_t rows = q.rows();
  std::vector<float> top(static_cast<size_t>(rows)), sum(top);
  for (int64_t begin = 0; begin < rows; begin += kBf16KeyBlock) {
    const int64_t count = std::min(kBf16KeyBlock, rows - begin);
    Matrix prob(rows - begin, count);
    matmul_bf16_nt(nullptr, q.rows_at(begin, rows - begin), k.rows_at(begin, count), prob.view(),
                   false);
    for (int64_t i = begin; i < rows; ++i) {
      float* p = prob.row(i - begin);
      const int64_t seen = std::min(count, i - begin + 1);
      float& row_top = top[static_cast<size_t>(i)];
      const float block_top = *std::max_element(p, p + seen) * (scale * kLog2E);
      const float new_top = begin > 0 ? std::max(row_top, block_top) : block_top;
      const float factor = begin > 0 ? exp2_nonpositive(row_top - new_top) : 0.0f;
      row_top = new_top;
      ChainSum block_sum;
      for (int64_t j = 0; j < count; ++j) {
        p[j] = j < seen ? exp2_nonpositive(std::fma(p[j], scale * kLog2E, -new_top)) : 0.0f;
        block_sum[j] += p[j];
      }
      float& row_sum = sum[static_cast<size_t>(i)];
      row_sum = std::fma(row_sum, factor, block_sum.total());
      for (int64_t c = 0; c < out.cols() && begin > 0; ++c) out.row<float>(i)[c] *= factor;
    }
    matmul_bf16_nn(nullptr, prob.view(), v.rows_at(begin, count), out.rows_at(begin, rows - begin),
                   begin > 0);
  }
  for (int64_t i = 0; i < rows; ++i) {
    const float row_sum = sum[static_cast<size_t>(i)], inverse = 1 / row_sum;
    for (int64_t c = 0; c < out.cols(); ++c) out.row<float>(i)[c] *= inverse;
    *lse.row<float>(i) = std::fma(top[static_cast<size_t>(i)], kLn2, std::log(row_sum));
  }
}

// What one sequence and one head add to the gradients; `first` head of those that share dk and dv.
struct HeadViews {
  ConstView q, k, v, out, lse, dout;
  View dq, dk, dv;
};
void attend_bf16_backward(const HeadViews& at, float scale, bool first) {
  const int64_t rows = at.q.rows();
  Matrix prob(rows, rows), d_score(rows, rows);  // where they end as what they are named
  matmul_bf16_nt(nullptr, at.q, at.k, prob.view(), false);
  matmul_bf16_nt(nullptr, at.dout, at.v, d_score.view(), false);
  for (int64_t i = 0; i < rows; ++i) {
    ChainSum delta;
    for (int64_t c = 0; c < at.out.cols(); ++c) {
      delta[c] = std::fma(at.out.row<float>(i)[c], at.dout.row<float>(i)[c], delta[c]);
    }
    const float lse = *at.lse.row<float>(i) * kLog2E, scaled_delta = delta.total() * scale;
    for (int64_t j = 0; j < rows; ++j) {
      float& p = prob.row(i)[j];
      float& ds = d_score.row(i)[j];
      p = j <= i ? exp2_nonpositive(std::fma(p, scale * kLog2E, -lse)) : 0.0f;
      ds = j <= i ? p * std::fma(ds, scale, -scaled_delta) : 0.0f;
    }
  }
  matmul_bf16_nn(nullptr, d_score.view(), at.k, at.dq, false);
  matmul_bf16_tn(nullptr, d_score.view(), at.q, at.dk, !first);
  matmul_bf16_tn(nullptr, prob.view(), at.dout, at.dv, !first);
}

}  // namespace

namespace {

// Calls fn(first row, rows, starts) for each sequence.
template <class Fn>
void for_each_sequence(const ConstView& starts, const Fn& fn) {
  const int32_t* start = starts.row<int32_t>(0);
  for (int64_t s = 0; s + 1 < starts.shape.elements(); ++s) {
    fn(int64_t{start[s]}, int64_t{start[s + 1]} - start[s],
       ConstView{start + s, DType::kI32, Shape{2}, 2});
  }
}

}  // namespace

void attention_bf16(Stream* stream, ConstView q, ConstView k, ConstView v, ConstView starts,
                    const AttentionShape& shape, View out, View lse) {
  for_each_sequence(starts, [&](int64_t begin, int64_t rows, const ConstView& alone) {
    if (q.dtype == DType::kF64 || rows < kBf16LeastRows)
      return attention(stream, q, k, v, alone, shape, out, lse);
    for (int64_t h = 0; h < shape.heads; ++h) {
      const int64_t g = h / (shape.heads / shape.kv_heads);
      attend_bf16(head_of(q, begin, rows, h, shape.qk_dim),
                  head_of(k, begin, rows, g, shape.qk_dim), head_of(v, begin, rows, g, shape.v_dim),
                  static_cast<float>(shape.scale), head_of(out, begin, rows, h, shape.v_dim),
                  head_of(lse, begin, rows, h, 1));
    }
  });
}

void attention_bf16_backward(Stream* stream, ConstView q, ConstView k, ConstView v, ConstView out,
                             ConstView lse, ConstView dout, ConstView starts,
                             const AttentionShape& shape, View dq, View dk, View dv) {
  const int64_t group = shape.heads / shape.kv_heads;
  for_each_sequence(starts, [&](int64_t begin, int64_t rows, const ConstView& alone) {
    if (q.dtype == DType::kF64 || rows < kBf16LeastRows)
      return attention_backward(stream, q, k, v, out, lse, dout, alone, shape, dq, dk, dv);
    for (int64_t h = 0; h < shape.heads; ++h) {
      const auto keys = [&](const auto& x, int64_t dim) {
        return head_of(x, begin, rows, h / group, dim);
      };
      const auto queries = [&](const auto& x, int64_t dim) {
        return head_of(x, begin, rows, h, dim);
      };
      attend_bf16_backward(
          {queries(q, shape.qk_dim), keys(k, shape.qk_dim), keys(v, shape.v_dim),
           queries(out, shape.v_dim), queries(lse, 1), queries(dout, shape.v_dim),
           queries(dq, shape.qk_dim), keys(dk, shape.qk_dim), keys(dv, shape.v_dim)},
          static_cast<float>(shape.scale), h % group == 0);
    }
  });
}

}  // namespace fathom::reference
