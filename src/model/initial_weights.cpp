#include "model/initial_weights.h"

#include <algorithm>

#include "base/random.h"
#include "base/team.h"

namespace fathom {

void initial_rows(const ParameterPart& part, uint64_t seed, double range, int64_t row, int64_t rows,
                  float* out) {
  const int64_t cols = part.shape.cols(), count = rows * cols;
  if (part.shape.rank() == 1) {
    std::fill_n(out, count, part.name.ends_with("bias") ? 0.0f : 1.0f);
    return;
  }
  const RandomKey key{seed, Purpose::kInit, hash_text(part.name.data(), part.name.size())};
  constexpr int64_t kStretch = 1 << 14;
  share_tasks((count + kStretch - 1) / kStretch, [&](int64_t task, int) {
    for (int64_t i = task * kStretch; i < std::min(count, (task + 1) * kStretch); ++i)
      out[i] = static_cast<float>(range * key.normal(static_cast<uint64_t>(row * cols + i)));
  });
}

}  // namespace fathom
