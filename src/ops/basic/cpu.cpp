// Zeroing, copying and adding whole tensors, and moving rows: all limited by memory, so threads
// share the bytes evenly and the compiler's memcpy and memset do the moving.
#include <algorithm>
#include <cstring>

#include "ops/basic/kernels.h"
#include "ops/parallel.h"
#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/basic/cpu.cpp"
#include <hwy/foreach_target.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom {
namespace HWY_NAMESPACE {
namespace {

void accumulate_row(const float* x, float* y, int64_t count) {
  map(x, y, y, count, [](VF32 a, VF32 b) HWY_ATTR { return hn::Add(b, a); });
}

// Row r of dy is added to row to[r] of dx, `count` columns from column `begin` on.
void scatter_add_columns(ConstView dy, const int32_t* to, View dx, int64_t begin, int64_t count) {
  for (int64_t r = 0; r < dy.rows(); ++r) {
    accumulate_row(dy.row<float>(r) + begin, dx.row<float>(to[r]) + begin, count);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fathom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::cpu {

HWY_EXPORT(accumulate_row);
HWY_EXPORT(scatter_add_columns);

namespace {

char* element(const View& x, int64_t r, int64_t c) {
  return static_cast<char*>(x.data) + byte_size(x.dtype, r * x.row_stride + c);
}
const char* element(const ConstView& x, int64_t r, int64_t c) {
  return static_cast<const char*>(x.data) + byte_size(x.dtype, r * x.row_stride + c);
}

// Rows from[r] of x become rows to[r] of y; a null list means r itself.
void move_rows(const ConstView& x, const int32_t* from, const View& y, const int32_t* to,
               int64_t rows) {
  const auto bytes = static_cast<size_t>(byte_size(x.dtype, x.cols()));
  for_each_piece(rows, piece_rows(x.cols()), x.cols(), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      std::memcpy(element(y, to ? to[r] : r, 0), element(x, from ? from[r] : r, 0), bytes);
    }
  });
}

}  // namespace

void fill_zero(Stream*, View x) {
  for_each_stretch(x.rows(), x.cols(), x.contiguous(), [&](int64_t r, int64_t c, int64_t count) {
    std::memset(element(x, r, c), 0, static_cast<size_t>(byte_size(x.dtype, count)));
  });
}

void copy(Stream*, ConstView x, View y) {
  const bool contiguous = x.contiguous() && y.contiguous();
  for_each_stretch(x.rows(), x.cols(), contiguous, [&](int64_t r, int64_t c, int64_t count) {
    std::memcpy(element(y, r, c), element(x, r, c), static_cast<size_t>(byte_size(x.dtype, count)));
  });
}

void accumulate(Stream* stream, ConstView x, View y) {
  if (x.dtype != DType::kF32) return reference::accumulate(stream, x, y);
  const auto add = HWY_DYNAMIC_DISPATCH(accumulate_row);
  const bool contiguous = x.contiguous() && y.contiguous();
  for_each_stretch(x.rows(), x.cols(), contiguous, [&](int64_t r, int64_t c, int64_t count) {
    add(x.row<float>(r) + c, y.row<float>(r) + c, count);
  });
}

void gather_rows(Stream*, ConstView x, ConstView index, View y) {
  move_rows(x, index.row<int32_t>(0), y, nullptr, y.rows());
}

void scatter_rows(Stream*, ConstView y, ConstView index, View x) {
  move_rows(y, nullptr, x, index.row<int32_t>(0), y.rows());
}

// Each thread has columns of its own instead of rows, so that an index may repeat.
void scatter_add_rows(Stream* stream, ConstView dy, ConstView index, View dx) {
  if (dy.dtype != DType::kF32) return reference::scatter_add_rows(stream, dy, index, dx);
  const auto add = HWY_DYNAMIC_DISPATCH(scatter_add_columns);
  // About sixteen pieces, of whole cache lines.
  const int64_t columns = std::max<int64_t>(1, (dy.cols() + 255) / 256) * 16;
  for_each_piece(dy.cols(), columns, dy.rows(), [&](int64_t begin, int64_t end) {
    add(dy, index.row<int32_t>(0), dx, begin, end - begin);
  });
}

}  // namespace fathom::cpu
#endif  // HWY_ONCE
