// A trained (or frozen) weight: its value, its gradient over the microbatches of a step, and its
// published names.
//
// A parameter may hold several published tensors stacked by rows (q, k and v of one product; gate
// and up; all experts): `parts` says which rows are which, and load, save and comparison with other
// programs read only that.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/pass.h"
#include "tensor/tensor.h"

namespace fathom {

// The gradient of a parameter. The first contribution of a step overwrites, later ones add: nothing
// is ever zeroed.
struct ParameterGrad {
  Tensor value;         // dtype and shape of the parameter, allocated at first use
  bool filled = false;  // false: `value` holds nothing of this step
  std::vector<uint8_t>
      live;  // experts only, [experts]: 1 where this step has a contribution; empty otherwise

  // No gradient any more; costs nothing, whatever the size.
  void clear();
};

// A copy of a parameter in the order in which products read it (ops/packed_weight).
struct PackedWeight {
  Tensor value;  // null: no copy
  Tensor of;     // the values that were copied, at this version
  uint32_t version = 0;
  void (*order)(Stream*, ConstView, View) = nullptr;  // the kernel that packed it
};

// A matrix that stays where and as a file holds it (ops/stored.h): for inference only.
struct StoredWeight {
  std::vector<ConstView> parts;       // one for each part of the parameter; empty: not stored
  std::shared_ptr<const void> owner;  // keeps the file mapped

  explicit operator bool() const { return !parts.empty(); }
};

struct ParameterPart {
  std::string name;       // published: "model.layers.3.self_attn.q_proj.weight"
  int64_t row_begin = 0;  // first row within the parameter seen as a matrix; of a vector, the
                          // first element
  Shape shape;            // published shape; shape.rows() rows are taken (a vector is one row)
};

struct Parameter {
  std::string name;     // ours, unique: "model.layers.3.self_attn.qkv_proj.weight"
  Shape declared;       // known before there is memory
  Tensor value;         // `declared` elements once allocated; f32 master
  StoredWeight stored;  // instead of a value
  std::vector<ParameterPart>
      parts;          // in row order, covering all rows; a single one for most parameters
  bool decay = true;  // weight decay applies (matrices)
  bool trained =
      true;  // false: a buffer that is saved but has no gradient (e_score_correction_bias)
  std::shared_ptr<ParameterGrad> grad;  // null when frozen or in inference
  std::shared_ptr<PackedWeight> packed = std::make_shared<PackedWeight>();

  const Shape& shape() const { return stored ? declared : value.shape(); }
  DType dtype() const { return stored ? DType::kF32 : value.dtype(); }  // of products with it
  // All rows at once: of a value, or of the only stored part.
  ConstView whole() const;

  // Where a backward kernel writes this parameter's gradient; `accumulate` tells whether to add.
  // Marks it filled.
  Tensor grad_target(Pass& pass, bool& accumulate) const;
  // The same for stacked experts: the kernel reads and sets grad->live itself, one flag per expert.
  Tensor expert_grad_target(Pass& pass) const;
  bool wants_grad(const Pass& pass) const { return pass.tape != nullptr && grad != nullptr; }
  // Where the elements of one of its parts begin.
  int64_t first_element(const ParameterPart& part) const {
    return declared.rank() == 1 ? part.row_begin : part.row_begin * declared.cols();
  }
};

using ParameterList = std::vector<Parameter*>;

}  // namespace fathom
