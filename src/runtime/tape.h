// The tape: what a forward pass remembers so that gradients can be computed, newest first.
//
// Threads: one.  Rules (docs/numerics.md): ops return new tensors; a saved tensor whose storage was
// written since is an error; a gradient is changed in place only while its storage has one owner,
// so handing one tensor to two inputs is safe.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "runtime/pass.h"
#include "tensor/tensor.h"

namespace fathom {

// A tensor kept for backward; get() throws if its storage was written since.
class Saved {
 public:
  Saved() = default;
  explicit Saved(const Tensor& tensor) : tensor_(tensor), version_(tensor.version()) {}
  // Keeps no values that can be made again: for the inputs of products, which would otherwise hold
  // most of a step's memory. To be read by remade().
  static Saved remakeable(const Tensor& tensor);

  const Tensor& get(const char* op) const;
  Tensor remade(Pass& pass, const char* op) const;
  // Shape, dtype and slot, with or without values: what taking a gradient needs.
  const Tensor& handle() const { return tensor_; }
  explicit operator bool() const { return static_cast<bool>(tensor_); }

 private:
  Tensor tensor_;
  uint32_t version_ = 0;
};

class Tape {
 public:
  using Backward = std::function<void(Pass&, const Tensor& dy)>;

  // Gives `y` a slot of its own and remembers `fn`, which owns what it saved. `op` is a literal.
  void record(const char* op, Tensor& y, Backward fn);
  // Column slices of `x`: like record, but the slices' gradients share one buffer that becomes the
  // gradient of `x`.
  void record_split(const char* op, const Tensor& x, std::vector<Tensor>& slices);

  // Adds `dx` to the gradient of `x`. Does nothing where `x` has no slot (a constant).
  void add_grad(Pass& pass, const Tensor& x, const Tensor& dx);
  // Where a kernel may write the gradient of `x` itself; `accumulate` tells whether to add. Empty
  // for a constant.
  Tensor grad_target(Pass& pass, const Tensor& x, bool& accumulate);

  // Runs and frees all records, from the last to the first, beginning with the gradients `seeds`
  // (tensor, gradient). A seed's gradient may be empty: then it is ones.
  void backward(Pass& pass, const std::vector<std::pair<Tensor, Tensor>>& seeds);

  bool empty() const { return records_.empty(); }
  void clear() { records_.clear(); }

 private:
  struct Record {
    const char* op;
    std::shared_ptr<GradSlot> y;
    Backward fn;
  };
  std::vector<Record> records_;
};

// Of the gradient of an activation: those kept as bf16 for products have f32 gradients.
inline DType gradient_dtype(DType activation) {
  return activation == DType::kBF16 ? DType::kF32 : activation;
}

// True if an op on these inputs must be recorded.
inline bool needs_grad(const Pass& pass, std::initializer_list<const Tensor*> inputs) {
  if (pass.tape == nullptr) return false;
  for (const Tensor* x : inputs) {
    if (x->slot() != nullptr) return true;
  }
  return false;
}

// Runs `fn(pass, x)` without a tape and, in backward, again on a tape of its own. `fn` is pure in
// its input, the parameters and the random key: no cache append, no statistics.
Tensor recompute(Pass& pass, const Tensor& x,
                 const std::function<Tensor(Pass&, const Tensor&)>& fn);

}  // namespace fathom
