#include <cstring>

#include "ops/basic/kernels.h"

namespace fathom::reference {
namespace {

// Row `i` of any plain dtype, as bytes.
char* row_bytes(const View& x, int64_t i) {
  return static_cast<char*>(x.data) + byte_size(x.dtype, i * x.row_stride);
}
const char* row_bytes(const ConstView& x, int64_t i) {
  return static_cast<const char*>(x.data) + byte_size(x.dtype, i * x.row_stride);
}
size_t bytes_per_row(const ConstView& x) {
  return static_cast<size_t>(byte_size(x.dtype, x.cols()));
}

}  // namespace

void fill_zero(Stream*, View x) {
  for (int64_t r = 0; r < x.rows(); ++r) std::memset(row_bytes(x, r), 0, bytes_per_row(x));
}

void copy(Stream*, ConstView x, View y) {
  for (int64_t r = 0; r < x.rows(); ++r)
    std::memcpy(row_bytes(y, r), row_bytes(x, r), bytes_per_row(x));
}

void accumulate(Stream*, ConstView x, View y) {
  dispatch_float(x.dtype, "accumulate", [&](auto zero) {
    using T = decltype(zero);
    for (int64_t r = 0; r < x.rows(); ++r) {
      for (int64_t c = 0; c < x.cols(); ++c) y.row<T>(r)[c] += x.row<T>(r)[c];
    }
  });
}

void gather_rows(Stream*, ConstView x, ConstView index, View y) {
  const int32_t* from = index.row<int32_t>(0);
  for (int64_t r = 0; r < y.rows(); ++r)
    std::memcpy(row_bytes(y, r), row_bytes(x, from[r]), bytes_per_row(x));
}

void scatter_rows(Stream*, ConstView y, ConstView index, View x) {
  const int32_t* to = index.row<int32_t>(0);
  for (int64_t r = 0; r < y.rows(); ++r)
    std::memcpy(row_bytes(x, to[r]), row_bytes(y, r), bytes_per_row(y));
}

void scatter_add_rows(Stream*, ConstView dy, ConstView index, View dx) {
  const int32_t* to = index.row<int32_t>(0);
  dispatch_float(dy.dtype, "scatter_add_rows", [&](auto zero) {
    using T = decltype(zero);
    for (int64_t r = 0; r < dy.rows(); ++r) {
      for (int64_t c = 0; c < dy.cols(); ++c) dx.row<T>(to[r])[c] += dy.row<T>(r)[c];
    }
  });
}

}  // namespace fathom::reference
