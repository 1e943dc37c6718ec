// All that a kernel sees of a tensor: rows of contiguous elements, a fixed distance apart.
//
// A column slice of a tensor is a view. Views borrow: the tensor outlives them.
#pragma once

#include <cstdint>
#include <type_traits>

#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace fathom {

// The factors of a matrix of FP8 codes, one for each block of 128 x 128 elements: element (r, c) is
// worth its code times values[(row + r) / 128 · stride + (column + c) / 128].
struct BlockScales {
  static constexpr int64_t kBlock = 128;

  const float* values = nullptr;
  int64_t stride = 0;
  int64_t row = 0, column = 0;  // of the first element within the first block's matrix

  float of(int64_t r, int64_t c) const {
    return values[(row + r) / kBlock * stride + (column + c) / kBlock];
  }
  BlockScales at(int64_t r, int64_t c) const { return {values, stride, row + r, column + c}; }
};

template <class Byte>
struct BasicView {
  Byte* data = nullptr;
  DType dtype = DType::kF32;
  Shape shape;
  int64_t row_stride = 0;   // elements between the beginnings of two rows
  BlockScales scales = {};  // kF8E4M3 only

  int64_t rows() const { return shape.rows(); }
  int64_t cols() const { return shape.cols(); }
  bool contiguous() const { return row_stride == cols() || rows() <= 1; }
  explicit operator bool() const { return data != nullptr; }

  // The first element of row `i`, as T; the caller has checked the dtype.
  template <class T>
  auto row(int64_t i) const {
    using Pointer = std::conditional_t<std::is_const_v<Byte>, const T*, T*>;
    return static_cast<Pointer>(data) + i * row_stride;
  }
  // The view of columns [begin, begin + count) of every row, as a matrix.
  BasicView columns(int64_t begin, int64_t count) const {
    BasicView view = *this;
    view.data = offset(begin);
    view.scales = scales.at(0, begin);
    view.shape = Shape{rows(), count};
    return view;
  }
  // The view of rows [begin, begin + count), as a matrix.
  BasicView rows_at(int64_t begin, int64_t count) const {
    BasicView view = *this;
    view.data = offset(begin * row_stride);
    view.scales = scales.at(begin, 0);
    view.shape = Shape{count, cols()};
    return view;
  }
  operator BasicView<const void>() const requires(!std::is_const_v<Byte>) {
    return {data, dtype, shape, row_stride, scales};
  }

 private:
  Byte* offset(int64_t elements) const {
    using Bytes = std::conditional_t<std::is_const_v<Byte>, const char*, char*>;
    return static_cast<Bytes>(data) + byte_size(dtype, elements);
  }
};

using View = BasicView<void>;
using ConstView = BasicView<const void>;

}  // namespace fathom
