// A tensor: a cheap handle on shared storage. `const Tensor&` reads, `Tensor&` writes.
//
// Copies share storage and gradient slot. Rows are contiguous; a column slice is a tensor with a
// wider row stride.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "tensor/allocator.h"
#include "tensor/view.h"

namespace fathom {

struct GradSlot;
struct Pass;  // runtime/pass.h

class Tensor {
 public:
  Tensor() = default;
  Tensor(Allocator& memory, const Shape& shape, DType dtype);  // uninitialised

  explicit operator bool() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int64_t dim(int i) const { return shape_[i]; }
  int64_t rows() const { return shape_.rows(); }
  int64_t cols() const { return shape_.cols(); }
  DType dtype() const { return dtype_; }
  int64_t bytes() const { return byte_size(dtype_, shape_.elements()); }
  bool contiguous() const { return row_stride_ == cols() || rows() <= 1; }

  ConstView read() const;
  View write();  // bumps the storage's version

  // Typed pointers for host code; the dtype is checked. `data` needs a contiguous tensor.
  template <class T>
  const T* data() const {
    check_data(dtype_of<T>());
    return static_cast<const T*>(address());
  }
  template <class T>
  T* mutable_data() {
    check_data(dtype_of<T>());
    ++storage_->version;
    return static_cast<T*>(address());
  }

  // Views that share storage; they carry no gradient slot (ops/columns has the differentiable
  // split).
  Tensor columns(int64_t begin, int64_t count) const;  // [rows, count]
  Tensor rows_at(int64_t begin, int64_t count) const;  // [count, cols]
  Tensor reshaped(const Shape& shape) const;           // same elements, contiguous tensors only

  bool sole_owner() const { return storage_.use_count() == 1; }
  bool same_storage(const Tensor& other) const { return storage_ == other.storage_; }
  uint32_t version() const {
    return storage_ ? storage_->version.load(std::memory_order_relaxed) : 0;
  }

  // The slot travels with the handle. Null: a constant, or no tape.
  const std::shared_ptr<GradSlot>& slot() const { return slot_; }
  void set_slot(std::shared_ptr<GradSlot> slot) { slot_ = std::move(slot); }
  Tensor without_slot() const;
  Tensor without_data() const;  // shape, dtype and slot: all that backward keeps of an input whose
                                // values it does not need

 private:
  void* address() const;
  void check_data(DType wanted) const;

  Shape shape_;
  DType dtype_ = DType::kF32;
  std::shared_ptr<Storage> storage_;
  int64_t offset_bytes_ = 0;
  int64_t row_stride_ = 0;  // elements
  std::shared_ptr<GradSlot> slot_;
};

// One gradient buffer that the slots of several column slices share, so that their gradients need
// no joining.
struct GradFamily {
  Tensor buffer;  // [rows, total], allocated when the first slice gets a gradient
  int64_t total = 0;
};

struct GradSlot {
  Tensor grad;                         // empty until the first contribution
  std::shared_ptr<GradFamily> family;  // null for a tensor of its own
  int64_t column = 0;                  // where this slice begins in the family's buffer
  // Makes the tensor's values once more from what backward keeps anyway. Where it is set, the ops
  // that read the tensor need not keep it. Null: they must.
  std::function<Tensor(Pass&)> remake;
};

}  // namespace fathom
