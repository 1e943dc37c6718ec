// All that a kernel sees of a tensor: rows of contiguous elements, a fixed distance apart.
//
// A column slice of a tensor is a view. Views borrow: the tensor outlives them.
#pragma once

#include <cstdint>
#include <type_traits>

#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace fathom {

template <class Byte>
struct BasicView {
  Byte* data = nullptr;
  DType dtype = DType::kF32;
  Shape shape;
  int64_t row_stride = 0;  // elements between the beginnings of two rows

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
    view.shape = Shape{rows(), count};
    return view;
  }
  // The view of rows [begin, begin + count), as a matrix.
  BasicView rows_at(int64_t begin, int64_t count) const {
    BasicView view = *this;
    view.data = offset(begin * row_stride);
    view.shape = Shape{count, cols()};
    return view;
  }
  operator BasicView<const void>() const requires(!std::is_const_v<Byte>) {
    return {data, dtype, shape, row_stride};
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
