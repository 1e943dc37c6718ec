#include "ops/packed_weight/packed_weight.h"

#include "ops/kernel_table.h"

namespace fathom {
namespace {

bool is_current(const Pass& pass, const Parameter& weight) {
  const PackedWeight& packed = *weight.packed;
  return packed.order == pass.kernels.pack && packed.of.read().data == weight.value.read().data &&
         packed.version == weight.value.version();
}

}  // namespace

void pack_weight(Pass& pass, const Parameter& weight) {
  if (weight.stored) return;
  const Shape& shape = weight.value.shape();
  FATHOM_CHECK(shape.rank() == 2 || shape.rank() == 3, "pack_weight: ", weight.name, " is ", shape,
               ", expected [out, in] or [groups, out, in]");
  if (weight.value.dtype() != DType::kF32 || is_current(pass, weight)) return;
  const int64_t groups = shape.rank() == 3 ? weight.value.dim(0) : 1;
  const int64_t floats =
      pass.kernels.packed_floats(weight.value.rows() / groups, weight.value.cols());
  PackedWeight& packed = *weight.packed;
  if (packed.value.shape() != Shape{groups, floats}) {
    try {
      packed.value = pass.empty({groups, floats}, DType::kF32);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kMemory) throw;
      return;  // the natural layout serves
    }
  }
  pass.kernels.pack(pass.stream, weight.value.read(), packed.value.write());
  packed.of = weight.value;
  packed.version = weight.value.version();
  packed.order = pass.kernels.pack;
}

ConstView packed_weight(const Pass& pass, const Parameter& weight) {
  const bool usable = pass.tape == nullptr && weight.packed->value && is_current(pass, weight);
  return usable ? weight.packed->value.read() : ConstView{};
}

}  // namespace fathom
