// Moving rows to experts and back on the CPU: all limited by memory.
#include <algorithm>
#include <cstring>
#include <vector>

#include "ops/expert_rows/kernels.h"
#include "ops/parallel.h"
#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/expert_rows/cpu.cpp"
#include <hwy/foreach_target.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom {
namespace HWY_NAMESPACE {
namespace {

// out = base + sum of weight[s] · rows[s] in ascending s; base may be null (zero) or out itself.
void expert_weighted_sum(const float* const* rows, const float* weight, int64_t count,
                         const float* base, float* out, int64_t cols) {
  const F32 d;
  for_each_vector(
      cols,
      [&](int64_t i) HWY_ATTR {
        VF32 sum = base ? hn::LoadU(d, base + i) : hn::Zero(d);
        for (int64_t s = 0; s < count; ++s)
          sum = hn::MulAdd(hn::Set(d, weight[s]), hn::LoadU(d, rows[s] + i), sum);
        hn::StoreU(sum, d, out + i);
      },
      [&](int64_t i, int64_t n) HWY_ATTR {
        VF32 sum = base ? load_part(base + i, n) : hn::Zero(d);
        for (int64_t s = 0; s < count; ++s)
          sum = hn::MulAdd(hn::Set(d, weight[s]), load_part(rows[s] + i, n), sum);
        store_part(sum, out + i, n);
      });
}

// drow = weight · dout; returns dout · row.
template <class Y>
float scale_and_dot(const float* dout, const float* row, float weight, Y* drow, int64_t cols) {
  const F32 d;
  const VF32 w = hn::Set(d, weight);
  VF32 dot = hn::Zero(d);
  for_each_vector(
      cols,
      [&](int64_t i) HWY_ATTR {
        const VF32 g = hn::LoadU(d, dout + i);
        dot = hn::MulAdd(g, hn::LoadU(d, row + i), dot);
        store(hn::Mul(w, g), drow + i);
      },
      [&](int64_t i, int64_t n) HWY_ATTR {
        const VF32 g = load_part(dout + i, n);
        dot = hn::MulAdd(g, load_part(row + i, n), dot);
        store_part(hn::Mul(w, g), drow + i, n);
      });
  return hn::GetLane(hn::SumOfLanes(d, dot));
}
float expert_scale_and_dot(const float* dout, const float* row, float weight, View drows, int64_t j,
                           int64_t cols) {
  if (drows.dtype == DType::kBF16)
    return scale_and_dot(dout, row, weight, drows.row<uint16_t>(j), cols);
  return scale_and_dot(dout, row, weight, drows.row<float>(j), cols);
}

void round_row(const float* from, uint16_t* to, int64_t cols) {
  map(from, to, cols, [](VF32 x) HWY_ATTR { return x; });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fathom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::cpu {

HWY_EXPORT(expert_weighted_sum);
HWY_EXPORT(expert_scale_and_dot);
HWY_EXPORT(round_row);

namespace {

// The k rows of one token, sorted by where they lie, with their weights; its lists are kept between
// tokens.
class TokenRows {
 public:
  TokenRows(ConstView rows, int64_t k)
      : rows_(rows),
        slots_(static_cast<size_t>(k)),
        rows_of_token_(static_cast<size_t>(k)),
        weights_(static_cast<size_t>(k)) {}

  // weight null: 1 each.
  void take(const int32_t* place, const float* weight) {
    for (size_t i = 0; i < slots_.size(); ++i) slots_[i] = i;
    std::sort(slots_.begin(), slots_.end(),
              [&](size_t a, size_t b) { return place[a] < place[b]; });
    for (size_t i = 0; i < slots_.size(); ++i) {
      rows_of_token_[i] = rows_.row<float>(place[slots_[i]]);
      weights_[i] = weight ? weight[slots_[i]] : 1.0f;
    }
  }
  const float* const* rows() const { return rows_of_token_.data(); }
  const float* weights() const { return weights_.data(); }

 private:
  ConstView rows_;
  std::vector<size_t> slots_;
  std::vector<const float*> rows_of_token_;
  std::vector<float> weights_;
};

void gather_rounded(ConstView x, ConstView order, int64_t k, View rows) {
  const auto round = HWY_DYNAMIC_DISPATCH(round_row);
  const int32_t* slots = order.row<int32_t>(0);
  for_each_piece(rows.rows(), piece_rows(x.cols()), x.cols(), [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j)
      round(x.row<float>(slots[j] / k), rows.row<uint16_t>(j), x.cols());
  });
}

}  // namespace

void expert_gather(Stream*, ConstView x, ConstView order, int64_t k, View rows) {
  if (rows.dtype != x.dtype) return gather_rounded(x, order, k, rows);
  const auto bytes = static_cast<size_t>(byte_size(x.dtype, x.cols()));
  const int64_t x_stride = byte_size(x.dtype, x.row_stride);
  const int64_t rows_stride = byte_size(rows.dtype, rows.row_stride);
  const int32_t* slots = order.row<int32_t>(0);
  for_each_piece(rows.rows(), piece_rows(x.cols()), x.cols(), [&](int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) {
      std::memcpy(static_cast<char*>(rows.data) + j * rows_stride,
                  static_cast<const char*>(x.data) + slots[j] / k * x_stride, bytes);
    }
  });
}

void expert_gather_backward(Stream* stream, ConstView drows, ConstView place, int64_t k, View dx,
                            bool accumulate) {
  if (dx.dtype != DType::kF32) {
    return reference::expert_gather_backward(stream, drows, place, k, dx, accumulate);
  }
  const auto weighted_sum = HWY_DYNAMIC_DISPATCH(expert_weighted_sum);
  for_each_piece(dx.rows(), piece_rows(dx.cols() * k), dx.cols() * k,
                 [&](int64_t begin, int64_t end) {
                   TokenRows token(drows, k);
                   for (int64_t t = begin; t < end; ++t) {
                     token.take(place.row<int32_t>(0) + t * k, nullptr);
                     float* out = dx.row<float>(t);
                     weighted_sum(token.rows(), token.weights(), k, accumulate ? out : nullptr, out,
                                  dx.cols());
                   }
                 });
}

void expert_combine(Stream* stream, ConstView rows, ConstView place, ConstView weight,
                    ConstView base, View out) {
  if (out.dtype != DType::kF32) {
    return reference::expert_combine(stream, rows, place, weight, base, out);
  }
  const auto weighted_sum = HWY_DYNAMIC_DISPATCH(expert_weighted_sum);
  const int64_t k = weight.cols();
  for_each_piece(
      out.rows(), piece_rows(out.cols() * k), out.cols() * k, [&](int64_t begin, int64_t end) {
        TokenRows token(rows, k);
        for (int64_t t = begin; t < end; ++t) {
          token.take(place.row<int32_t>(0) + t * k, weight.row<float>(t));
          const float* shared = base ? base.row<float>(t) : nullptr;
          weighted_sum(token.rows(), token.weights(), k, shared, out.row<float>(t), out.cols());
        }
      });
}

void expert_combine_backward(Stream* stream, ConstView rows, ConstView place, ConstView weight,
                             ConstView dout, View drows, View dweight) {
  if (dout.dtype != DType::kF32) {
    return reference::expert_combine_backward(stream, rows, place, weight, dout, drows, dweight);
  }
  const auto scale_and_dot = HWY_DYNAMIC_DISPATCH(expert_scale_and_dot);
  const int64_t k = weight.cols();
  const int32_t* places = place.row<int32_t>(0);
  for_each_piece(dout.rows(), piece_rows(dout.cols() * k), dout.cols() * k,
                 [&](int64_t begin, int64_t end) {
                   for (int64_t t = begin; t < end; ++t) {
                     for (int64_t s = 0; s < k; ++s) {
                       const int64_t j = places[t * k + s];
                       dweight.row<float>(t)[s] =
                           scale_and_dot(dout.row<float>(t), rows.row<float>(j),
                                         weight.row<float>(t)[s], drows, j, dout.cols());
                     }
                   }
                 });
}

}  // namespace fathom::cpu
#endif  // HWY_ONCE
