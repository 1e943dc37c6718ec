// What kernels on AMX tiles share: packing matrices, f32 or already bf16 (as uint16_t), into tiles
// of bf16 pairs, the tile instructions, and products of packed strips and panels.
//
// A tile instruction takes 16 x 32 elements of a and 32 x 16 of b. A strip is 32 rows of a, a panel
// 32 columns of b; each is packed as [k / 32][2] tiles, padded with zeros to whole steps of 32.
// Threads: a thread holds a Tiles while it uses tile registers. After request_amx() (base/cpu.h).
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstdint>

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16,prfchw")

namespace fathom::amx {

constexpr int64_t kSide = 16;                   // rows of a tile; columns of one of c
constexpr int64_t kDepth = 32;                  // k of a tile of a or b
constexpr int64_t kTileFloats = kSide * kSide;  // 1 KB, of bf16 pairs too
constexpr int64_t kWide = 2 * kSide;            // rows of a strip, columns of a panel

#define FATHOM_UNROLL _Pragma("GCC unroll 16")
#define FATHOM_INLINE [[gnu::always_inline]] inline

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// All eight tiles are 16 rows of 64 bytes.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
inline constexpr TileConfig kTileConfig{};

// The tile registers of this thread, for one block.
class Tiles {
 public:
  Tiles() { _tile_loadconfig(&kTileConfig); }
  ~Tiles() { _tile_release(); }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;
};

FATHOM_INLINE __mmask16 first(int64_t count) {
  return static_cast<__mmask16>(count >= 16 ? 0xffff : count <= 0 ? 0 : (1u << count) - 1);
}

FATHOM_INLINE __mmask32 first32(int64_t count) {
  return static_cast<__mmask32>(count >= 32 ? 0xffffffff : count <= 0 ? 0 : (1u << count) - 1);
}

// 16 pairs (k, k + 1) of a row.
FATHOM_INLINE __m512i pairs_along(const float* row) {
  return reinterpret_cast<__m512i>(
      _mm512_cvtne2ps_pbh(_mm512_loadu_ps(row + 16), _mm512_loadu_ps(row)));
}
FATHOM_INLINE __m512i pairs_along(const float* row, int64_t count) {
  const __m512 low = _mm512_maskz_loadu_ps(first(count), row);
  const __m512 high = _mm512_maskz_loadu_ps(first(count - 16), row + 16);
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}

FATHOM_INLINE __m512i pairs_along(const uint16_t* row) { return _mm512_loadu_si512(row); }
FATHOM_INLINE __m512i pairs_along(const uint16_t* row, int64_t count) {
  return _mm512_maskz_loadu_epi16(first32(count), row);
}

// 16 elements of `row`, then 16 of `next`; one whose mask is empty is not read.
FATHOM_INLINE __m512i two_rows(const float* row, const float* next, __mmask16 columns,
                               __mmask16 next_columns) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(next_columns, next),
                                                       _mm512_maskz_loadu_ps(columns, row)));
}
FATHOM_INLINE __m512i two_rows(const uint16_t* row, const uint16_t* next, __mmask16 columns,
                               __mmask16 next_columns) {
  const __m512i low = _mm512_maskz_broadcast_i64x4(0x0f, _mm256_maskz_loadu_epi16(columns, row));
  return _mm512_mask_broadcast_i64x4(low, 0xf0, _mm256_maskz_loadu_epi16(next_columns, next));
}

// The pairs (row k, row k + 1) of 16 columns; a row whose mask is empty is not read.
template <class T>
FATHOM_INLINE __m512i pairs_across(const T* row, const T* next, __mmask16 columns,
                                   __mmask16 next_columns) {
  const __m512i both = two_rows(row, next, columns, next_columns);
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24,
                                         8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(order, both);
}

// 16 x 16 pairs: rows become columns.
FATHOM_INLINE void transpose(__m512i (&x)[16]) {
  __m512i y[16];
  FATHOM_UNROLL
  for (int i = 0; i < 16; i += 4) {
    const __m512i low01 = _mm512_maskz_unpacklo_epi32(0xffff, x[i], x[i + 1]);
    const __m512i low23 = _mm512_maskz_unpacklo_epi32(0xffff, x[i + 2], x[i + 3]);
    const __m512i high01 = _mm512_maskz_unpackhi_epi32(0xffff, x[i], x[i + 1]);
    const __m512i high23 = _mm512_maskz_unpackhi_epi32(0xffff, x[i + 2], x[i + 3]);
    // Quarter q of y[i + u] holds column 4q + u of rows i … i + 3.
    y[i] = _mm512_maskz_unpacklo_epi64(0xff, low01, low23);
    y[i + 1] = _mm512_maskz_unpackhi_epi64(0xff, low01, low23);
    y[i + 2] = _mm512_maskz_unpacklo_epi64(0xff, high01, high23);
    y[i + 3] = _mm512_maskz_unpackhi_epi64(0xff, high01, high23);
  }
  FATHOM_UNROLL
  for (int u = 0; u < 4; ++u) {
    const __m512i even0 = _mm512_maskz_shuffle_i32x4(0xffff, y[u], y[4 + u], 0x88);
    const __m512i odd0 = _mm512_maskz_shuffle_i32x4(0xffff, y[u], y[4 + u], 0xdd);
    const __m512i even1 = _mm512_maskz_shuffle_i32x4(0xffff, y[8 + u], y[12 + u], 0x88);
    const __m512i odd1 = _mm512_maskz_shuffle_i32x4(0xffff, y[8 + u], y[12 + u], 0xdd);
    x[u] = _mm512_maskz_shuffle_i32x4(0xffff, even0, even1, 0x88);
    x[4 + u] = _mm512_maskz_shuffle_i32x4(0xffff, odd0, odd1, 0x88);
    x[8 + u] = _mm512_maskz_shuffle_i32x4(0xffff, even0, even1, 0xdd);
    x[12 + u] = _mm512_maskz_shuffle_i32x4(0xffff, odd0, odd1, 0xdd);
  }
}

// One tile from a matrix whose k runs along rows: 16 rows of pairs, of which `rows` and `steps`
// exist.
template <class T>
FATHOM_INLINE void load_along(const T* from, int64_t step, int64_t rows, int64_t steps,
                              __m512i (&x)[16]) {
  if (rows >= kSide && steps >= kDepth) [[likely]] {
    FATHOM_UNROLL
    for (int i = 0; i < 16; ++i) x[i] = pairs_along(from + i * step);
    return;
  }
  FATHOM_UNROLL
  for (int i = 0; i < 16; ++i)
    x[i] = i < rows ? pairs_along(from + i * step, steps) : _mm512_setzero_si512();
}

// One tile from a matrix whose k runs down columns: 16 pairs of rows, each of 16 columns.
template <class T>
FATHOM_INLINE void load_across(const T* from, int64_t step, int64_t columns, int64_t steps,
                               __m512i (&x)[16]) {
  const __mmask16 all = first(columns), none = 0;
  FATHOM_UNROLL
  for (int i = 0; i < 16; ++i) {
    const T* row = from + 2 * i * step;
    x[i] =
        pairs_across(row, row + step, 2 * i < steps ? all : none, 2 * i + 1 < steps ? all : none);
  }
}

FATHOM_INLINE void store(const __m512i (&x)[16], float* tile) {
  FATHOM_UNROLL
  for (int i = 0; i < 16; ++i) _mm512_storeu_si512(tile + i * kSide, x[i]);
}

// Packs `count` rows of a (or columns of b), k steps of them: [k / 32][2] tiles. `along`: k runs
// along the rows of the matrix; `transposed`: the tile wants pairs of k as rows, as b does.
template <bool kAlong, bool kTransposed, class T>
void pack(const T* from, int64_t step, int64_t count, int64_t k, float* to) {
  for (int64_t p = 0; p < k; p += kDepth) {
    for (int64_t i = 0; i < count; i += kSide) {
      __m512i tile[16];
      const int64_t some = std::min(kSide, count - i), steps = std::min(kDepth, k - p);
      if (kAlong) {
        load_along(from + i * step + p, step, some, steps, tile);
      } else {
        load_across(from + p * step + i, step, some, steps, tile);
      }
      if (kTransposed) transpose(tile);
      store(tile, to + i / kSide * kTileFloats);
    }
    to += 2 * kTileFloats;
  }
}

// pack<true, false>() row after row: a long matrix streams through the caches in its own order.
template <class T>
void pack_strip(const T* from, int64_t step, int64_t rows, int64_t k, float* to) {
  for (int64_t i = 0; i < kWide; ++i, from += step) {
    float* tile_row = to + i / kSide * kTileFloats + i % kSide * kSide;
    int64_t p = 0;
    for (; i < rows && p + kDepth <= k; p += kDepth, tile_row += 2 * kTileFloats)
      _mm512_storeu_si512(tile_row, pairs_along(from + p));
    for (; p < k; p += kDepth, tile_row += 2 * kTileFloats) {
      _mm512_storeu_si512(tile_row,
                          i < rows ? pairs_along(from + p, k - p) : _mm512_setzero_si512());
    }
  }
}

template <int kTile>
FATHOM_INLINE void zero_tile() {
  asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
}
template <int kTile>
FATHOM_INLINE void load_tile(const float* from, int64_t step) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(4 * step), "i"(kTile) : "memory");
}
template <int kTile>
FATHOM_INLINE void store_tile(float* to, int64_t step) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(4 * step), "i"(kTile) : "memory");
}
template <int kC, int kA, int kB>
FATHOM_INLINE void add_product() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kC), "i"(kA), "i"(kB));
}

// Memory that is wanted soon, brought near a few lines at a time while tiles multiply: the hardware
// does not foresee 32 rows that lie apart. `kWrite`: to be written; else it comes no nearer than
// the second-level cache.
template <bool kWrite>
class Ahead {
 public:
  Ahead() = default;
  template <class T>
  Ahead(const T* from, int64_t step, int64_t rows, int64_t columns)
      : from_(reinterpret_cast<const char*>(from)),
        step_(step * kBytes<T>),
        rows_(rows),
        length_(columns * kBytes<T>) {}

  int64_t lines() const { return rows_ * divide_up(length_, kLine); }

  FATHOM_INLINE void fetch(int64_t lines) {
    for (; lines > 0 && rows_ > 0; --lines) {
      __builtin_prefetch(from_ + at_, kWrite ? 1 : 0, kWrite ? 3 : 2);
      at_ += kLine;
      if (at_ < length_) continue;
      at_ = 0;
      from_ += step_;
      --rows_;
    }
  }

 private:
  static constexpr int64_t kLine = 64;
  template <class T>
  static constexpr int64_t kBytes = sizeof(T);

  const char* from_ = nullptr;
  int64_t step_ = 0, rows_ = 0, length_ = 0, at_ = 0;  // bytes, but for rows
};

// Up to 32 x 32 of c: tiles 0 and 1 above 2 and 3. A tile that is not whole passes through a
// buffer.
class Square {
 public:
  Square(float* c, int64_t step, int64_t rows, int64_t columns)
      : c_(c), step_(step), rows_(rows), columns_(columns) {}

  bool tall() const { return rows_ > kSide; }
  bool wide() const { return columns_ > kSide; }

  template <int kTile>
  void begin(bool load) const {
    const int64_t rows = rows_ - kTile / 2 * kSide, columns = columns_ - kTile % 2 * kSide;
    if (!load || rows <= 0 || columns <= 0) return zero_tile<kTile>();
    const float* from = c_ + kTile / 2 * kSide * step_ + kTile % 2 * kSide;
    if (rows >= kSide && columns >= kSide) return load_tile<kTile>(from, step_);
    alignas(64) float part[kTileFloats];
    for (int64_t i = 0; i < std::min(rows, kSide); ++i)
      _mm512_store_ps(part + i * kSide, _mm512_maskz_loadu_ps(first(columns), from + i * step_));
    load_tile<kTile>(part, kSide);
  }

  template <int kTile>
  void finish() const {
    const int64_t rows = rows_ - kTile / 2 * kSide, columns = columns_ - kTile % 2 * kSide;
    if (rows <= 0 || columns <= 0) return;
    float* to = c_ + kTile / 2 * kSide * step_ + kTile % 2 * kSide;
    if (rows >= kSide && columns >= kSide) return store_tile<kTile>(to, step_);
    alignas(64) float part[kTileFloats];
    store_tile<kTile>(part, kSide);
    for (int64_t i = 0; i < std::min(rows, kSide); ++i)
      _mm512_mask_storeu_ps(to + i * step_, first(columns), _mm512_load_ps(part + i * kSide));
  }

 private:
  float* c_;
  int64_t step_, rows_, columns_;
};

// Adds the products of a packed strip and panel of k steps; `meanwhile` is called with each step.
template <bool kTall, bool kWideEnough, class Meanwhile>
FATHOM_INLINE void add_products(const float* a, const float* b, int64_t k,
                                const Meanwhile& meanwhile) {
  for (int64_t p = 0; p < k; p += kDepth) {
    load_tile<4>(a, kSide);
    load_tile<6>(b, kSide);
    add_product<0, 4, 6>();
    if constexpr (kWideEnough) {
      load_tile<7>(b + kTileFloats, kSide);
      add_product<1, 4, 7>();
    }
    if constexpr (kTall) {
      load_tile<5>(a + kTileFloats, kSide);
      add_product<2, 5, 6>();
      if constexpr (kWideEnough) add_product<3, 5, 7>();
    }
    a += 2 * kTileFloats;
    b += 2 * kTileFloats;
    meanwhile();
  }
}

template <class Meanwhile>
void multiply_square(const float* a, const float* b, int64_t k, const Square& c, bool load_c,
                     const Meanwhile& meanwhile) {
  c.begin<0>(load_c);
  c.begin<1>(load_c);
  c.begin<2>(load_c);
  c.begin<3>(load_c);
  if (c.tall() && c.wide()) {
    add_products<true, true>(a, b, k, meanwhile);
  } else if (c.tall()) {
    add_products<true, false>(a, b, k, meanwhile);
  } else if (c.wide()) {
    add_products<false, true>(a, b, k, meanwhile);
  } else {
    add_products<false, false>(a, b, k, meanwhile);
  }
  c.finish<0>();
  c.finish<1>();
  c.finish<2>();
  c.finish<3>();
}

// Floats that 32 rows or columns take when packed.
inline int64_t packed_floats(int64_t k) { return divide_up(k, kDepth) * 2 * kTileFloats; }

}  // namespace fathom::amx

#pragma GCC pop_options
