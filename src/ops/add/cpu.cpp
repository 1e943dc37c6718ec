#include "ops/add/kernels.h"
#include "ops/parallel.h"
#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/add/cpu.cpp"
#include <hwy/foreach_target.h>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom {
namespace HWY_NAMESPACE {
namespace {

void add_row(const float* a, const float* b, float* y, int64_t count) {
  map(a, b, y, count, [](VF32 left, VF32 right) HWY_ATTR { return hn::Add(left, right); });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fathom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fathom::cpu {

HWY_EXPORT(add_row);

// Limited by memory: 12 bytes for one addition.
void add(Stream* stream, ConstView a, ConstView b, View y) {
  if (a.dtype != DType::kF32) return reference::add(stream, a, b, y);
  const auto row = HWY_DYNAMIC_DISPATCH(add_row);
  const bool contiguous = a.contiguous() && b.contiguous() && y.contiguous();
  for_each_stretch(y.rows(), y.cols(), contiguous, [&](int64_t r, int64_t c, int64_t count) {
    row(a.row<float>(r) + c, b.row<float>(r) + c, y.row<float>(r) + c, count);
  });
}

}  // namespace fathom::cpu
#endif  // HWY_ONCE
