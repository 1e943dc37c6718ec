#include "tensor/tensor.h"

namespace fathom {

Tensor::Tensor(Allocator& memory, const Shape& shape, DType dtype)
    : shape_(shape), dtype_(dtype), row_stride_(shape.cols()) {
  storage_ = memory.take(static_cast<size_t>(byte_size(dtype, shape.elements())));
}

void* Tensor::address() const { return storage_->data + offset_bytes_; }

void Tensor::check_data(DType wanted) const {
  FATHOM_CHECK(storage_ != nullptr, "tensor: reading an empty tensor");
  FATHOM_CHECK(dtype_ == wanted, "tensor: expected ", info(wanted).name, ", got ",
               info(dtype_).name, " ", shape_);
  FATHOM_CHECK(contiguous(), "tensor: ", shape_, " with row stride ", row_stride_,
               " is not contiguous");
}

ConstView Tensor::read() const {
  if (!storage_) return {};
  return {address(), dtype_, shape_, row_stride_};
}

View Tensor::write() {
  if (!storage_) return {};
  storage_->version.fetch_add(1, std::memory_order_relaxed);
  return {address(), dtype_, shape_, row_stride_};
}

Tensor Tensor::columns(int64_t begin, int64_t count) const {
  FATHOM_CHECK(begin >= 0 && count >= 0 && begin + count <= cols(), "tensor: columns ", begin,
               " to ", begin + count, " of ", shape_);
  Tensor slice = without_slot();
  slice.shape_ = Shape{rows(), count};
  slice.offset_bytes_ += byte_size(dtype_, begin);
  return slice;
}

Tensor Tensor::rows_at(int64_t begin, int64_t count) const {
  FATHOM_CHECK(begin >= 0 && count >= 0 && begin + count <= rows(), "tensor: rows ", begin, " to ",
               begin + count, " of ", shape_);
  Tensor slice = without_slot();
  slice.shape_ = Shape{count, cols()};
  slice.offset_bytes_ += byte_size(dtype_, begin * row_stride_);
  return slice;
}

Tensor Tensor::reshaped(const Shape& shape) const {
  FATHOM_CHECK(shape.elements() == shape_.elements() && contiguous(), "tensor: cannot reshape ",
               shape_, " to ", shape);
  Tensor same = without_slot();
  same.shape_ = shape;
  same.row_stride_ = shape.cols();
  return same;
}

Tensor Tensor::without_slot() const {
  Tensor plain = *this;
  plain.slot_ = nullptr;
  return plain;
}

Tensor Tensor::without_data() const {
  Tensor handle = *this;
  handle.storage_ = nullptr;
  return handle;
}

}  // namespace fathom
