// Moving rows to experts and back, in plain loops: the specification.
#include <algorithm>
#include <vector>

#include "ops/expert_rows/kernels.h"
#include "ops/operand.h"

namespace fathom::reference {
namespace {

// The slots of token t in the order their rows lie, which is ascending expert.
std::vector<int64_t> slots_by_place(const int32_t* place, int64_t t, int64_t k) {
  std::vector<int64_t> slots(static_cast<size_t>(k));
  for (int64_t i = 0; i < k; ++i) slots[static_cast<size_t>(i)] = i;
  std::sort(slots.begin(), slots.end(),
            [&](int64_t a, int64_t b) { return place[t * k + a] < place[t * k + b]; });
  return slots;
}

}  // namespace

// A stable counting sort, so slots of one expert stay in token order.
void order_by_expert(Stream*, ConstView expert, View offsets, View order, View place) {
  const int64_t experts = offsets.cols() - 1, k = expert.cols();
  int32_t* offset = offsets.row<int32_t>(0);
  std::fill_n(offset, experts + 1, 0);
  for (int64_t t = 0; t < expert.rows(); ++t) {
    for (int64_t i = 0; i < k; ++i) {
      const int32_t id = expert.row<int32_t>(t)[i];
      FATHOM_CHECK(id >= 0 && id < experts, "order_by_expert: row ", t, " picks expert ", id,
                   " of ", experts);
      ++offset[id + 1];
    }
  }
  for (int64_t e = 0; e < experts; ++e) offset[e + 1] += offset[e];

  std::vector<int32_t> next(offset, offset + experts);
  for (int64_t t = 0; t < expert.rows(); ++t) {
    for (int64_t i = 0; i < k; ++i) {
      const int32_t at = next[static_cast<size_t>(expert.row<int32_t>(t)[i])]++;
      order.row<int32_t>(0)[at] = static_cast<int32_t>(t * k + i);
      place.row<int32_t>(0)[t * k + i] = at;
    }
  }
}

void expert_gather(Stream*, ConstView x, ConstView order, int64_t k, View rows) {
  dispatch_float(x.dtype, "expert_gather", [&](auto zero) {
    using T = decltype(zero);
    for (int64_t j = 0; j < rows.rows(); ++j) {
      const T* from = x.row<T>(order.row<int32_t>(0)[j] / k);
      for (int64_t c = 0; c < x.cols(); ++c) put(rows, j, c, from[c]);
    }
  });
}

void expert_gather_backward(Stream*, ConstView drows, ConstView place, int64_t k, View dx,
                            bool accumulate) {
  dispatch_float(dx.dtype, "expert_gather_backward", [&](auto zero) {
    using T = decltype(zero);
    const int32_t* places = place.row<int32_t>(0);
    for (int64_t t = 0; t < dx.rows(); ++t) {
      const std::vector<int64_t> slots = slots_by_place(places, t, k);
      for (int64_t c = 0; c < dx.cols(); ++c) {
        T sum = 0;
        for (const int64_t s : slots) sum += drows.row<T>(places[t * k + s])[c];
        dx.row<T>(t)[c] = accumulate ? dx.row<T>(t)[c] + sum : sum;
      }
    }
  });
}

void expert_combine(Stream*, ConstView rows, ConstView place, ConstView weight, ConstView base,
                    View out) {
  dispatch_float(out.dtype, "expert_combine", [&](auto zero) {
    using T = decltype(zero);
    const int64_t k = weight.cols();
    const int32_t* places = place.row<int32_t>(0);
    for (int64_t t = 0; t < out.rows(); ++t) {
      const std::vector<int64_t> slots = slots_by_place(places, t, k);
      for (int64_t c = 0; c < out.cols(); ++c) {
        T sum = base ? base.row<T>(t)[c] : T{0};
        for (const int64_t s : slots)
          sum += weight.row<T>(t)[s] * rows.row<T>(places[t * k + s])[c];
        out.row<T>(t)[c] = sum;
      }
    }
  });
}

void expert_combine_backward(Stream*, ConstView rows, ConstView place, ConstView weight,
                             ConstView dout, View drows, View dweight) {
  dispatch_float(dout.dtype, "expert_combine_backward", [&](auto zero) {
    using T = decltype(zero);
    const int64_t k = weight.cols();
    const int32_t* places = place.row<int32_t>(0);
    for (int64_t t = 0; t < dout.rows(); ++t) {
      for (int64_t s = 0; s < k; ++s) {
        const int64_t j = places[t * k + s];
        double dot = 0;
        for (int64_t c = 0; c < dout.cols(); ++c) {
          put(drows, j, c, weight.row<T>(t)[s] * dout.row<T>(t)[c]);
          dot += static_cast<double>(dout.row<T>(t)[c]) * static_cast<double>(rows.row<T>(j)[c]);
        }
        dweight.row<T>(t)[s] = static_cast<T>(dot);
      }
    }
  });
}

}  // namespace fathom::reference
