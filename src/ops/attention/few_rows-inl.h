// Products of a few query rows with keys and values read where they lie, row by row.
//
// Transposing a block of keys pays when many rows use it. For one row, or the few heads that share
// a decoded token's keys, it costs more than the products: here scores are dot products along the
// key (lanes are columns, joined at the end for several keys at once), and the mixture of values
// is kMixChains sums of every kMixChains-th place, because one chain of fused multiply-adds would
// wait for itself. A row's result does not depend on the rows beside it.
// Included once per instruction set, after hwy/foreach_target.h.

// Per-target include guard.
#if defined(FATHOM_OPS_ATTENTION_FEW_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FATHOM_OPS_ATTENTION_FEW_ROWS_INL_H_
#undef FATHOM_OPS_ATTENTION_FEW_ROWS_INL_H_
#else
#define FATHOM_OPS_ATTENTION_FEW_ROWS_INL_H_
#endif

#include <hwy/cache_control.h>

#include <algorithm>

#include "ops/attention/jobs.h"
#include "ops/attention/tiles-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom {
namespace HWY_NAMESPACE {

// Where the keys and values of one block lie. Entries after the last place repeat it, so that keys
// can be taken by vectors.
struct BlockRows {
  const float* key[kKeyBlock];
  const float* value[kKeyBlock];

  // Several heads each read a part of every row. Asked for here in the order of memory, rows that
  // no cache holds come in a quarter faster; one head alone reads them in that order anyway.
  void find(const AttendJob& job, int64_t begin, int64_t count) {
    const KeyRows& rows = job.keys;
    const int64_t heads = job.queries.kv_heads;
    const int64_t key_columns = heads > 1 ? heads * job.qk_dim : 0;
    const int64_t value_columns = heads > 1 ? heads * job.v_dim : 0;
    for (int64_t j = 0; j < count;) {
      const int64_t row = rows.row(begin + j), run = rows.run(begin + j, begin + count);
      const float* k = rows.key + row * rows.key_row;
      const float* v = rows.value + row * rows.value_row;
      for (const int64_t end = j + run; j < end; ++j, k += rows.key_row, v += rows.value_row) {
        key[j] = k;
        value[j] = v;
        prefetch(k, key_columns);
        prefetch(v, value_columns);
      }
    }
    std::fill(key + count, key + round_up(count, kMostLanes), key[count - 1]);
  }

 private:
  // Inlined by force: GCC drops calls of a function that only prefetches, as having no effect.
  static HWY_INLINE void prefetch(const float* row, int64_t columns) {
    constexpr int64_t kLine = 64 / static_cast<int64_t>(sizeof(float));
    for (int64_t c = 0; c < columns; c += kLine) hwy::Prefetch(row + c);
  }
};

// to[0 … kCount) = the sums over all lanes of sums[0 … kCount).
#if HWY_TARGET == HWY_SCALAR
template <int kCount>
HWY_INLINE void store_lane_sums(const VF32* sums, float* to) {
  for (int i = 0; i < kCount; ++i) hn::StoreU(sums[i], F32(), to + i);
}
#else
template <int kCount>
HWY_INLINE VF32 lane_sums(const VF32* sums) {
  VF32 some[kCount];
#pragma GCC unroll 8
  for (int i = 0; i < kCount; ++i) some[i] = sums[i];
  return join_lanes(some, [](VF32 a, VF32 b) HWY_ATTR { return hn::Add(a, b); });
}

template <int kCount>
HWY_INLINE void store_lane_sums(const VF32* sums, float* to) {
  constexpr int kStep = std::min({kCount, static_cast<int>(kLanes), 8});
  const hn::FixedTag<float, kStep> d;
  if constexpr (kCount == 16 && kLanes == 16) {
    hn::StoreU(hn::ConcatUpperLower(F32(), lane_sums<8>(sums + 8), lane_sums<8>(sums)), F32(), to);
  } else {
#pragma GCC unroll 4
    for (int i = 0; i < kCount; i += kStep) {
      const VF32 all = lane_sums<kStep>(sums + i);
      if constexpr (kStep == kLanes) {
        hn::StoreU(all, d, to + i);
      } else if constexpr (2 * kStep == kLanes) {
        hn::StoreU(hn::LowerHalf(d, all), d, to + i);
      } else {
        hn::StoreU(hn::LowerHalf(d, hn::LowerHalf(hn::FixedTag<float, 2 * kStep>(), all)), d,
                   to + i);
      }
    }
  }
}
#endif

struct Dots {
  const float* q = nullptr;  // row r at r · q_row
  int64_t q_row = 0;
  const float* const* keys = nullptr;
  int64_t column = 0, depth = 0;  // of the keys
  float* scores = nullptr;        // of row r and key j at r · kKeyBlock + j
};

// sums[r · kKeys + j] += q[r] · key[j], lane by lane, over kVectors vectors from column c on;
// `load` takes an address.
template <int kRows, int kKeys, int kVectors, class Load>
HWY_INLINE void add_products(const Dots& p, int64_t c, const Load& load, VF32* sums) {
  VF32 q[kRows][kVectors];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) q[r][v] = load(p.q + r * p.q_row + c + v * kLanes);
  }
#pragma GCC unroll 16
  for (int j = 0; j < kKeys; ++j) {
    const float* key = p.keys[j] + p.column + c;
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      const VF32 columns = load(key + v * kLanes);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        sums[r * kKeys + j] = hn::MulAdd(q[r][v], columns, sums[r * kKeys + j]);
      }
    }
  }
}

template <int kRows, int kKeys>
HWY_INLINE void dot_tile(const Dots& p) {
  const F32 d;
  VF32 sums[kRows * kKeys];
#pragma GCC unroll 16
  for (int i = 0; i < kRows * kKeys; ++i) sums[i] = hn::Zero(d);
  const auto load = [](const float* from) HWY_ATTR { return hn::LoadU(F32(), from); };
  int64_t c = 0;
  for (; c + 2 * kLanes <= p.depth; c += 2 * kLanes) {
    add_products<kRows, kKeys, 2>(p, c, load, sums);
  }
  if (c + kLanes <= p.depth) {
    add_products<kRows, kKeys, 1>(p, c, load, sums);
    c += kLanes;
  }
  if (c < p.depth) {
    const int64_t left = p.depth - c;
    const auto load_left = [=](const float* from) HWY_ATTR { return load_part(from, left); };
    add_products<kRows, kKeys, 1>(p, c, load_left, sums);
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r)
    store_lane_sums<kKeys>(sums + r * kKeys, p.scores + r * kKeyBlock);
}

// The scores of kRows rows and the first `count` keys, rounded up to whole vectors.
template <int kRows>
void dot_rows(Dots p, int64_t count) {
  constexpr int kTogether = std::min(kRows, kAccumulators / 4), kKeys = kAccumulators / kTogether;
  for (int64_t j = 0; j < round_up(count, kLanes); j += kKeys) {
    Dots tile = p;
    for (int r = 0; r < kRows; r += kTogether) {
      dot_tile<kTogether, kKeys>(tile);
      tile.q += kTogether * p.q_row;
      tile.scores += kTogether * kKeyBlock;
    }
    p.keys += kKeys;
    p.scores += kKeys;
  }
}

constexpr int kMixChains = kAccumulators / 4;

struct Mix {
  const float* factors = nullptr;  // of row r and place i at r · kKeyBlock + i
  const float* const* values = nullptr;
  int64_t column = 0, count = 0;  // of the values
  float* mixed = nullptr;
  int64_t mixed_row = 0;
  const float* after = nullptr;  // [rows] multiplies the finished rows; null: nothing does
};

// mixed[r] = sum over places of factor · value; with `kPart` the last vector has `part` columns.
template <int kRows, int kVectors, bool kPart>
HWY_INLINE void mix_tile(const Mix& p, int64_t column, int64_t part) {
  const F32 d;
  VF32 sums[kMixChains][kRows][kVectors];
#pragma GCC unroll 4
  for (int chain = 0; chain < kMixChains; ++chain) {
#pragma GCC unroll 2
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sums[chain][r][v] = hn::Zero(d);
    }
  }
  const auto add_place = [&](int64_t i, VF32(&sum)[kRows][kVectors]) HWY_ATTR {
    VF32 columns[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const float* from = p.values[i] + p.column + column + v * kLanes;
      columns[v] = kPart && v == kVectors - 1 ? load_part(from, part) : hn::LoadU(d, from);
    }
#pragma GCC unroll 2
    for (int r = 0; r < kRows; ++r) {
      const VF32 factor = hn::Set(d, p.factors[r * kKeyBlock + i]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(factor, columns[v], sum[r][v]);
    }
  };
  int64_t i = 0;
  for (; i + kMixChains <= p.count; i += kMixChains) {
#pragma GCC unroll 4
    for (int chain = 0; chain < kMixChains; ++chain) add_place(i + chain, sums[chain]);
  }
#pragma GCC unroll 4
  for (int chain = 0; chain < kMixChains; ++chain) {
    if (i + chain < p.count) add_place(i + chain, sums[chain]);
  }
#pragma GCC unroll 2
  for (int r = 0; r < kRows; ++r) {
    const VF32 after = hn::Set(d, p.after != nullptr ? p.after[r] : 1.0f);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      VF32 sum = hn::Add(sums[0][r][v], sums[1][r][v]);
      if constexpr (kMixChains == 4) {
        sum = hn::Add(sum, hn::Add(sums[2][r][v], sums[3][r][v]));
      }
      sum = hn::Mul(sum, after);
      float* to = p.mixed + r * p.mixed_row + column + v * kLanes;
      if (kPart && v == kVectors - 1) {
        store_part(sum, to, part);
      } else {
        hn::StoreU(sum, d, to);
      }
    }
  }
}

template <int kRows, int kVectors>
HWY_INLINE void mix_columns(const Mix& p, int64_t column, int64_t columns) {
  for (; column + kVectors * kLanes <= columns; column += kVectors * kLanes) {
    mix_tile<kRows, kVectors, false>(p, column, 0);
  }
  if (column == columns) return;
  if constexpr (kVectors == 1) {
    mix_tile<kRows, 1, true>(p, column, columns - column);
  } else {
    mix_columns<kRows, kVectors / 2>(p, column, columns);
  }
}

// The mixtures of kRows rows, `columns` wide.
template <int kRows>
void mix_rows(Mix p, int64_t columns) {
  constexpr int kTogether = std::min(kRows, 2);
  for (int r = 0; r < kRows; r += kTogether) {
    mix_columns<kTogether, 4 / kTogether>(p, 0, columns);
    p.factors += kTogether * kKeyBlock;
    p.mixed += kTogether * p.mixed_row;
    if (p.after != nullptr) p.after += kTogether;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace fathom
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
