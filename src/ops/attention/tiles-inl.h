// The register tiles that attention is made of: one small matrix product, the transposition that
// lays keys out for it, and reductions of several rows at once.
//
// Every result element is one chain of fused multiply-adds in ascending order, whatever the size of
// the tile around it: that is why a row's result depends on nothing but the row.
// Included once per instruction set, after hwy/foreach_target.h.

// Per-target include guard.
#if defined(FATHOM_OPS_ATTENTION_TILES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FATHOM_OPS_ATTENTION_TILES_INL_H_
#undef FATHOM_OPS_ATTENTION_TILES_INL_H_
#else
#define FATHOM_OPS_ATTENTION_TILES_INL_H_
#endif

#include <algorithm>

#include "ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom {
namespace HWY_NAMESPACE {

constexpr int64_t kLanes = HWY_LANES(float);
// Rows of the largest tile, never more than lanes, and its accumulators: 16 of 32 registers, 8
// of 16.
constexpr int kTileRows = kLanes == 16 ? 8 : kLanes == 1 ? 1 : 4;
constexpr int kAccumulators = kLanes == 16 ? 16 : 8;

inline int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

// What a product reads and writes: c[r][v] (+)= sum over i < depth of a[r, i] · b[i][v].
struct Product {
  const float* a = nullptr;  // element (r, i) at r · a_row + i · a_step
  int64_t a_row = 0, a_step = 1;
  const float* b = nullptr;  // row i at i · b_row, vectors of columns
  int64_t b_row = 0;
  int64_t depth = 0;
  float* c = nullptr;
  int64_t c_row = 0;
  bool add = false;              // begin from c instead of from zero
  const float* after = nullptr;  // [rows]: each finished row is multiplied by its number
};

// `kRows` rows and `kVectors` vectors of columns from `column` on; with `kPart` the last vector has
// only `part` columns.
template <int kRows, int kVectors, bool kPart>
HWY_INLINE void product_tile(const Product& p, int64_t column, int64_t part) {
  const F32 d;
  VF32 sum[kRows][kVectors];
  const float* b = p.b + column;
  float* c = p.c + column;
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      const float* from = c + r * p.c_row + v * kLanes;
      sum[r][v] = !p.add                       ? hn::Zero(d)
                  : kPart && v == kVectors - 1 ? load_part(from, part)
                                               : hn::LoadU(d, from);
    }
  }
  const float* a = p.a;
  const int64_t a_row = p.a_row, a_step = p.a_step, b_row = p.b_row;
  for (int64_t i = 0; i < p.depth; ++i, a += a_step, b += b_row) {
    VF32 columns[kVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      const float* from = b + v * kLanes;
      columns[v] = kPart && v == kVectors - 1 ? load_part(from, part) : hn::LoadU(d, from);
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const VF32 factor = hn::Set(d, a[r * a_row]);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(factor, columns[v], sum[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    const VF32 after = hn::Set(d, p.after != nullptr ? p.after[r] : 1.0f);
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      float* to = c + r * p.c_row + v * kLanes;
      const VF32 value = hn::Mul(sum[r][v], after);
      if (kPart && v == kVectors - 1) {
        store_part(value, to, part);
      } else {
        hn::StoreU(value, d, to);
      }
    }
  }
}

// `kRows` rows and all columns: as many vectors at once as there are accumulators.
template <int kRows, int kVectors = kAccumulators / kRows>
void product_rows(const Product& p, int64_t column, int64_t columns) {
  for (; column + kVectors * kLanes <= columns; column += kVectors * kLanes) {
    product_tile<kRows, kVectors, false>(p, column, 0);
  }
  if (column == columns) return;
  if constexpr (kVectors == 1) {
    product_tile<kRows, 1, true>(p, column, columns - column);
  } else {
    product_rows<kRows, kVectors / 2>(p, column, columns);
  }
}

// Calls fn.template operator()<kRows>(row) for tiles that cover `rows` rows, largest first.
template <int kRows = kTileRows, class Fn>
HWY_INLINE void for_each_tile(int64_t row, int64_t rows, const Fn& fn) {
  for (; row + kRows <= rows; row += kRows) fn.template operator()<kRows>(row);
  if constexpr (kRows > 1) {
    if (row < rows) for_each_tile<kRows / 2>(row, rows, fn);
  }
}

#if HWY_TARGET == HWY_SCALAR
HWY_INLINE void transpose_rows(const float* const* rows, int64_t columns, float* to,
                               int64_t to_row) {
  for (int64_t c = 0; c < columns; ++c) to[c * to_row] = rows[0][c];
}

template <int kRows, class Join>
HWY_INLINE VF32 join_lanes(const VF32 (&rows)[kRows], const Join&) {
  return rows[0];
}
#else
// Four elements from `column` on of rows 0, 4, 8, …, one row in each block of 128 bits.
template <size_t kN>
HWY_INLINE hn::Vec<hn::FixedTag<float, kN>> load_blocks(const float* const* rows, int64_t column) {
  const hn::FixedTag<float, kN> d;
  if constexpr (kN == 4) {
    return hn::LoadU(d, rows[0] + column);
  } else {
    return hn::Combine(d, load_blocks<kN / 2>(rows + kN / 2, column),
                       load_blocks<kN / 2>(rows, column));
  }
}

// to[c · to_row + r] = rows[r][c] for one vector's number of rows.
HWY_INLINE void transpose_rows(const float* const* rows, int64_t columns, float* to,
                               int64_t to_row) {
  const F32 d;
  int64_t c = 0;
  for (; c + 4 <= columns; c += 4) {
    const VF32 v0 = load_blocks<kLanes>(rows, c), v1 = load_blocks<kLanes>(rows + 1, c);
    const VF32 v2 = load_blocks<kLanes>(rows + 2, c), v3 = load_blocks<kLanes>(rows + 3, c);
    const VF32 low02 = hn::InterleaveLower(d, v0, v2), high02 = hn::InterleaveUpper(d, v0, v2);
    const VF32 low13 = hn::InterleaveLower(d, v1, v3), high13 = hn::InterleaveUpper(d, v1, v3);
    hn::StoreU(hn::InterleaveLower(d, low02, low13), d, to + c * to_row);
    hn::StoreU(hn::InterleaveUpper(d, low02, low13), d, to + (c + 1) * to_row);
    hn::StoreU(hn::InterleaveLower(d, high02, high13), d, to + (c + 2) * to_row);
    hn::StoreU(hn::InterleaveUpper(d, high02, high13), d, to + (c + 3) * to_row);
  }
  for (; c < columns; ++c) {
    for (int64_t r = 0; r < kLanes; ++r) to[c * to_row + r] = rows[r][c];
  }
}

// All lanes of four rows joined: every block of 128 bits of the result holds the four results.
template <class Join>
HWY_INLINE VF32 join_lanes_of_four(VF32 v0, VF32 v1, VF32 v2, VF32 v3, const Join& join) {
  const F32 d;
  const VF32 v02 = join(hn::InterleaveLower(d, v0, v2), hn::InterleaveUpper(d, v0, v2));
  const VF32 v13 = join(hn::InterleaveLower(d, v1, v3), hn::InterleaveUpper(d, v1, v3));
  VF32 all = join(hn::InterleaveLower(d, v02, v13), hn::InterleaveUpper(d, v02, v13));
  if constexpr (kLanes >= 8) all = join(all, hn::SwapAdjacentBlocks(all));
  if constexpr (kLanes >= 16) all = join(all, hn::ReverseBlocks(d, all));
  return all;
}

// Lane r of the result = all lanes of rows[r] joined, for kRows <= 8; the other lanes hold copies.
// A row's order of joining does not depend on the rows beside it.
template <int kRows, class Join>
HWY_INLINE VF32 join_lanes(const VF32 (&rows)[kRows], const Join& join) {
  constexpr int kLast = kRows - 1;
  const VF32 low = join_lanes_of_four(rows[0], rows[std::min(1, kLast)], rows[std::min(2, kLast)],
                                      rows[std::min(3, kLast)], join);
  if constexpr (kRows > 4) {
    return hn::OddEvenBlocks(
        join_lanes_of_four(rows[4], rows[std::min(5, kLast)], rows[std::min(6, kLast)],
                           rows[std::min(7, kLast)], join),
        low);
  } else {
    return low;
  }
}
#endif

}  // namespace HWY_NAMESPACE
}  // namespace fathom
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
