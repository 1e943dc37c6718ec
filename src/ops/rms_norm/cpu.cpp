// One pass over a row that is read twice from the nearest cache. Sums are f32 in lanes of a vector,
// so a row's result depends on its width alone.
#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/parallel.h"
#include "ops/rms_norm/kernels.h"
#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/rms_norm/cpu.cpp"
#include <hwy/foreach_target.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom {
namespace HWY_NAMESPACE {
namespace {

HWY_INLINE float sum(VF32 v) { return hn::GetLane(hn::SumOfLanes(F32(), v)); }

float row_squares(const float* x, int64_t cols) {
  const F32 d;
  return sum(sum_vectors(
      cols, hn::Zero(d),
      [&](VF32 s, int64_t i) HWY_ATTR {
        const VF32 v = hn::LoadU(d, x + i);
        return hn::MulAdd(v, v, s);
      },
      [&](VF32 s, int64_t i, int64_t n) HWY_ATTR {
        const VF32 v = load_part(x + i, n);
        return hn::MulAdd(v, v, s);
      }));
}

void rms_norm_rows(ConstView x, const float* w, float eps, View y, float* inv_rms, int64_t begin,
                   int64_t end) {
  const F32 d;
  const int64_t cols = x.cols();
  for (int64_t r = begin; r < end; ++r) {
    const float* row = x.row<float>(r);
    const float inv = 1.0f / std::sqrt(row_squares(row, cols) / static_cast<float>(cols) + eps);
    inv_rms[r] = inv;
    const VF32 scale = hn::Set(d, inv);
    const auto normed = [scale](VF32 in, VF32 weight)
                            HWY_ATTR { return hn::Mul(weight, hn::Mul(in, scale)); };
    if (y.dtype == DType::kBF16) {
      map(row, w, y.row<uint16_t>(r), cols, normed);
    } else {
      map(row, w, y.row<float>(r), cols, normed);
    }
  }
}

// sum of x · w · dy
float row_dot(const float* x, const float* w, const float* dy, int64_t cols) {
  const F32 d;
  return sum(sum_vectors(
      cols, hn::Zero(d),
      [&](VF32 s, int64_t i) HWY_ATTR {
        const VF32 wdy = hn::Mul(hn::LoadU(d, w + i), hn::LoadU(d, dy + i));
        return hn::MulAdd(hn::LoadU(d, x + i), wdy, s);
      },
      [&](VF32 s, int64_t i, int64_t n) HWY_ATTR {
        const VF32 wdy = hn::Mul(load_part(w + i, n), load_part(dy + i, n));
        return hn::MulAdd(load_part(x + i, n), wdy, s);
      }));
}

// dx = or += inv · (w · dy − x · inv² · mean(x · w · dy))
void input_row(const float* x, const float* w, float inv, const float* dy, int64_t cols, float* dx,
               bool accumulate) {
  const F32 d;
  const float mean = row_dot(x, w, dy, cols) / static_cast<float>(cols) * inv * inv;
  const VF32 scale = hn::Set(d, inv), along = hn::Set(d, mean);
  const auto value = [=](VF32 in, VF32 weight, VF32 grad) HWY_ATTR {
    return hn::Mul(scale, hn::NegMulAdd(in, along, hn::Mul(weight, grad)));
  };
  for_each_vector(
      cols,
      [&](int64_t i) HWY_ATTR {
        VF32 v = value(hn::LoadU(d, x + i), hn::LoadU(d, w + i), hn::LoadU(d, dy + i));
        if (accumulate) v = hn::Add(hn::LoadU(d, dx + i), v);
        hn::StoreU(v, d, dx + i);
      },
      [&](int64_t i, int64_t n) HWY_ATTR {
        VF32 v = value(load_part(x + i, n), load_part(w + i, n), load_part(dy + i, n));
        if (accumulate) v = hn::Add(load_part(dx + i, n), v);
        store_part(v, dx + i, n);
      });
}

// dw += dy · x · inv
void weight_row(const float* x, float inv, const float* dy, int64_t cols, float* dw) {
  const F32 d;
  const VF32 scale = hn::Set(d, inv);
  for_each_vector(
      cols,
      [&](int64_t i) HWY_ATTR {
        const VF32 normed = hn::Mul(hn::LoadU(d, x + i), scale);
        hn::StoreU(hn::MulAdd(hn::LoadU(d, dy + i), normed, hn::LoadU(d, dw + i)), d, dw + i);
      },
      [&](int64_t i, int64_t n) HWY_ATTR {
        const VF32 normed = hn::Mul(load_part(x + i, n), scale);
        store_part(hn::MulAdd(load_part(dy + i, n), normed, load_part(dw + i, n)), dw + i, n);
      });
}

// Rows [begin, end); dx may be empty and dw, the sum over these rows alone, null.
void rms_norm_backward_rows(ConstView x, const float* w, const float* inv_rms, ConstView dy,
                            View dx, bool accumulate_dx, float* dw, int64_t begin, int64_t end) {
  const int64_t cols = x.cols();
  for (int64_t r = begin; r < end; ++r) {
    const float* in = x.row<float>(r);
    const float* grad = dy.row<float>(r);
    // Before dx, which may be written over dy.
    if (dw != nullptr) weight_row(in, inv_rms[r], grad, cols, dw);
    if (dx) input_row(in, w, inv_rms[r], grad, cols, dx.row<float>(r), accumulate_dx);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fathom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::cpu {

HWY_EXPORT(rms_norm_rows);
HWY_EXPORT(rms_norm_backward_rows);

namespace {

// The gradient of the weight is summed in at most this many chunks of rows, of at least so many
// rows, first each chunk, then the chunks in order: the same for any number of threads.
constexpr int64_t kMaxChunks = 32, kMinChunkRows = 32;

int64_t chunk_rows(int64_t rows) {
  return std::max(kMinChunkRows, (rows + kMaxChunks - 1) / kMaxChunks);
}

}  // namespace

void rms_norm(Stream* stream, ConstView x, ConstView w, float eps, View y, View inv_rms) {
  if (x.dtype != DType::kF32) return reference::rms_norm(stream, x, w, eps, y, inv_rms);
  const auto rows = HWY_DYNAMIC_DISPATCH(rms_norm_rows);
  const int64_t cols = x.cols();
  for_each_piece(x.rows(), piece_rows(cols), cols, [&](int64_t begin, int64_t end) {
    rows(x, w.row<float>(0), eps, y, inv_rms.row<float>(0), begin, end);
  });
}

void rms_norm_backward(Stream* stream, ConstView x, ConstView w, ConstView inv_rms, ConstView dy,
                       View dx, bool accumulate_dx, View dw, bool accumulate_dw) {
  if (x.dtype != DType::kF32) {
    return reference::rms_norm_backward(stream, x, w, inv_rms, dy, dx, accumulate_dx, dw,
                                        accumulate_dw);
  }
  const auto rows = HWY_DYNAMIC_DISPATCH(rms_norm_backward_rows);
  const int64_t cols = x.cols(), chunk = chunk_rows(x.rows());
  const int64_t chunks = (x.rows() + chunk - 1) / chunk;
  std::vector<float> partial(dw ? static_cast<size_t>(chunks * cols) : 0);
  for_each_piece(x.rows(), chunk, cols, [&](int64_t begin, int64_t end) {
    float* sum = dw ? partial.data() + begin / chunk * cols : nullptr;
    rows(x, w.row<float>(0), inv_rms.row<float>(0), dy, dx, accumulate_dx, sum, begin, end);
  });
  if (!dw) return;
  float* total = dw.row<float>(0);
  if (!accumulate_dw) std::fill_n(total, cols, 0.0f);
  for (int64_t c = 0; c < chunks; ++c) {
    const float* sum = partial.data() + c * cols;
    for (int64_t i = 0; i < cols; ++i) total[i] += sum[i];
  }
}

}  // namespace fathom::cpu
#endif  // HWY_ONCE
