// Softmax attention of one sequence's rows on AMX tiles: the two products take operands rounded to
// bf16, everything between them is f32.
//
// A block of kBf16KeyBlock keys and its values are packed once; then each strip of 32 query rows
// takes scores = q · keys into a buffer in the first-level cache, row by row turns them into powers
// of two relative to the largest score so far, rounds these while packing them, and adds their
// product with the values to its output, which was rescaled before (arXiv:2205.14135).
// Memory is one block of keys and the rows of one job, however long the sequence.
#pragma once

#include <limits>

#include "ops/attention/kernels.h"
#include "ops/matmul/amx_tiles-inl.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16,prfchw")

namespace fathom::amx {

inline constexpr float kLog2E = 1.44269504f, kLn2 = 0.693147181f;

// The second operand where one is a NaN.
FATHOM_INLINE __m512 larger(__m512 a, __m512 b) { return _mm512_maskz_max_ps(0xffff, a, b); }
struct Larger {
  FATHOM_INLINE __m512 operator()(__m512 a, __m512 b) const { return larger(a, b); }
};

inline int64_t padded(int64_t count) { return divide_up(count, kWide) * kWide; }

// 2^t for t <= 0, as ops/vector_math-inl.h computes it: a polynomial of degree 6 on [-1/2, 1/2],
// exactly 1 at 0; 2^-126 below -126; a NaN stays one.
FATHOM_INLINE __m512 exp2_nonpositive(__m512 t) {
  t = larger(_mm512_set1_ps(-126.0f), t);
  const __m512 shift = _mm512_set1_ps(0x1.8p23f);
  const __m512 shifted = _mm512_add_ps(t, shift);  // the low bits are t to the nearest whole number
  const __m512 f = _mm512_sub_ps(t, _mm512_sub_ps(shifted, shift));
  __m512 p = _mm512_set1_ps(0x1.41fbbcp-13f);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0x1.5f3e52p-10f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0x1.3b2d4cp-7f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0x1.c6aee8p-5f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0x1.ebfbdcp-3f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0x1.62e43p-1f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
  return _mm512_castsi512_ps(_mm512_add_epi32(
      _mm512_castps_si512(p), _mm512_maskz_slli_epi32(0xffff, _mm512_castps_si512(shifted), 23)));
}

// Natural logarithm of a normal x > 0, to about 2^-23: x = m · 2^e with m in [3/4, 3/2), and
// log m = 2 atanh((m − 1) / (m + 1)) as a series, whose next term is below 4e-9.
FATHOM_INLINE __m512 log_of(__m512 x) {
  const __m512 one = _mm512_set1_ps(1.0f);
  const __m512 m = _mm512_maskz_getmant_ps(0xffff, x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_src);
  const __m512 e = _mm512_maskz_getexp_ps(0xffff, _mm512_div_ps(x, m));
  const __m512 z = _mm512_div_ps(_mm512_sub_ps(m, one), _mm512_add_ps(m, one));
  const __m512 square = _mm512_mul_ps(z, z);
  __m512 p = _mm512_set1_ps(2.0f / 9);
  p = _mm512_fmadd_ps(p, square, _mm512_set1_ps(2.0f / 7));
  p = _mm512_fmadd_ps(p, square, _mm512_set1_ps(2.0f / 5));
  p = _mm512_fmadd_ps(p, square, _mm512_set1_ps(2.0f / 3));
  p = _mm512_fmadd_ps(p, square, _mm512_set1_ps(2.0f));
  return _mm512_fmadd_ps(e, _mm512_set1_ps(kLn2), _mm512_mul_ps(p, z));
}

// Lane r = all lanes of row r joined. Of each four lanes the even ones and the odd ones come first,
// then these two; of the four results the same.
template <class Join>
FATHOM_INLINE __m512 join_rows(const __m512 (&x)[16], const Join& join) {
  __m512 y[8], z[4], w[2];
  FATHOM_UNROLL
  for (int i = 0; i < 8; ++i) {
    y[i] = join(_mm512_maskz_unpacklo_ps(0xffff, x[2 * i], x[2 * i + 1]),
                _mm512_maskz_unpackhi_ps(0xffff, x[2 * i], x[2 * i + 1]));
  }
  FATHOM_UNROLL
  for (int i = 0; i < 4; ++i) {
    const __m512d a = _mm512_castps_pd(y[2 * i]), b = _mm512_castps_pd(y[2 * i + 1]);
    z[i] = join(_mm512_castpd_ps(_mm512_maskz_unpacklo_pd(0xff, a, b)),
                _mm512_castpd_ps(_mm512_maskz_unpackhi_pd(0xff, a, b)));
  }
  FATHOM_UNROLL
  for (int i = 0; i < 2; ++i) {
    w[i] = join(_mm512_maskz_shuffle_f32x4(0xffff, z[2 * i], z[2 * i + 1], 0x44),
                _mm512_maskz_shuffle_f32x4(0xffff, z[2 * i], z[2 * i + 1], 0xee));
  }
  return join(_mm512_maskz_shuffle_f32x4(0xffff, w[0], w[1], 0x88),
              _mm512_maskz_shuffle_f32x4(0xffff, w[0], w[1], 0xdd));
}

struct Sum {
  FATHOM_INLINE __m512 operator()(__m512 a, __m512 b) const { return _mm512_add_ps(a, b); }
};

// c = or += a · b for a strip of 32 (or the first 16) rows and a panel, all of them stored.
template <bool kTall>
FATHOM_INLINE void whole_square(const float* a, const float* b, int64_t k, float* c, int64_t step,
                                bool load) {
  if (load) {
    load_tile<0>(c, step);
    load_tile<1>(c + kSide, step);
    if constexpr (kTall) {
      load_tile<2>(c + kSide * step, step);
      load_tile<3>(c + kSide * step + kSide, step);
    }
  } else {
    zero_tile<0>();
    zero_tile<1>();
    zero_tile<2>();
    zero_tile<3>();
  }
  add_products<kTall, true>(a, b, k, [] {});
  store_tile<0>(c, step);
  store_tile<1>(c + kSide, step);
  if constexpr (kTall) {
    store_tile<2>(c + kSide * step, step);
    store_tile<3>(c + kSide * step + kSide, step);
  }
}

// pack(), with zeros for a second tile that has no rows or columns.
template <bool kAlong, bool kTransposed>
void pack_padded(const float* from, int64_t step, int64_t count, int64_t k, float* to) {
  pack<kAlong, kTransposed>(from, step, count, k, to);
  if (count > kSide) return;
  for (int64_t p = 0; p < k; p += kDepth, to += 2 * kTileFloats)
    std::fill_n(to + kTileFloats, kTileFloats, 0.0f);
}

// Some tokens of a sequence, all query heads of one key/value head, and the keys from the
// sequence's first on.
struct AttendPiece {
  const float* q = nullptr;  // of the first token, first head
  const float* k = nullptr;  // of the sequence's first token
  const float* v = nullptr;
  float* out = nullptr;
  float* lse = nullptr;
  int64_t q_row = 0, k_row = 0, v_row = 0, out_row = 0, lse_row = 0;  // elements between tokens
  int64_t group = 0, rows = 0;                                        // heads, tokens
  int64_t place = 0;  // of the first token in the sequence, a multiple of 32
  int64_t qk_dim = 0, v_dim = 0;
  float scale = 0;
};

class Attend {
 public:
  static int64_t scratch_floats(const AttendPiece& piece) {
    const int64_t strips = piece.group * divide_up(piece.rows, kWide);
    return strips * (packed_floats(piece.qk_dim) + kWide * (padded(piece.v_dim) + 2)) +
           kBf16KeyBlock / kWide * packed_floats(piece.qk_dim) +
           (padded(piece.v_dim) / kWide + 1) * packed_floats(kBf16KeyBlock) + kWide * kBf16KeyBlock;
  }

  Attend(const AttendPiece& piece, float* scratch)
      : piece_(piece),
        strips_(divide_up(piece.rows, kWide)),
        packed_row_(packed_floats(piece.qk_dim)),
        out_step_(padded(piece.v_dim)) {
    const auto take = [&scratch](int64_t floats) {
      float* at = scratch;
      scratch += floats;
      return at;
    };
    queries_ = take(piece.group * strips_ * packed_row_);
    out_ = take(piece.group * strips_ * kWide * out_step_);
    top_ = take(piece.group * strips_ * kWide);
    sum_ = take(piece.group * strips_ * kWide);
    keys_ = take(kBf16KeyBlock / kWide * packed_row_);
    values_ = take(out_step_ / kWide * packed_floats(kBf16KeyBlock));
    prob_ = take(packed_floats(kBf16KeyBlock));
    scores_ = take(kWide * kBf16KeyBlock);
  }

  void run() {
    const Tiles tiles;
    pack_queries();
    const int64_t places = piece_.place + piece_.rows;
    for (int64_t begin = 0; begin < places; begin += kBf16KeyBlock) {
      pack_keys(begin, std::min(kBf16KeyBlock, places - begin));
      const int64_t strip = std::max<int64_t>(0, begin - piece_.place) / kWide;
      for (int64_t head = 0; head < piece_.group; ++head) {
        for (int64_t s = strip; s < strips_; ++s) add_block(begin, head, s);
      }
    }
  }

 private:
  void pack_queries() {
    for (int64_t head = 0; head < piece_.group; ++head) {
      for (int64_t s = 0; s < strips_; ++s) {
        pack_strip(piece_.q + s * kWide * piece_.q_row + head * piece_.qk_dim, piece_.q_row,
                   std::min(kWide, piece_.rows - s * kWide), piece_.qk_dim,
                   queries_ + (head * strips_ + s) * packed_row_);
      }
    }
  }

  void pack_keys(int64_t begin, int64_t count) {
    for (int64_t j = 0; j < count; j += kWide) {
      pack_padded<true, true>(piece_.k + (begin + j) * piece_.k_row, piece_.k_row,
                              std::min(kWide, count - j), piece_.qk_dim,
                              keys_ + j / kWide * packed_row_);
    }
    for (int64_t c = 0; c < piece_.v_dim; c += kWide) {
      pack_padded<false, false>(piece_.v + begin * piece_.v_row + c, piece_.v_row,
                                std::min(kWide, piece_.v_dim - c), count,
                                values_ + c / kWide * packed_floats(kBf16KeyBlock));
    }
  }

  // One block of keys for one strip of queries, which sees at least the first of them.
  void add_block(int64_t begin, int64_t head, int64_t strip) {
    const int64_t at = head * strips_ + strip;
    const int64_t place = piece_.place + strip * kWide - begin;  // of the first row in the block
    const int64_t panels = std::min(kBf16KeyBlock, place + kWide) / kWide;
    const int64_t row = strip * kWide, rows = std::min(kWide, piece_.rows - row);
    const bool last = place < kBf16KeyBlock;
    Ahead<true> out(piece_.out + row * piece_.out_row + head * piece_.v_dim, piece_.out_row, rows,
                    piece_.v_dim);
    if (last) out.fetch(out.lines());
    if (rows > kSide) {
      add_products_of<true>(at, begin, place, panels);
    } else {
      add_products_of<false>(at, begin, place, panels);
    }
    for (int64_t r = 0; last && r < rows; r += kSide) store_rows(head, row + r);
  }

  template <bool kTall>
  void add_products_of(int64_t at, int64_t begin, int64_t place, int64_t panels) {
    for (int64_t p = 0; p < panels; ++p) {
      whole_square<kTall>(queries_ + at * packed_row_, keys_ + p * packed_row_, piece_.qk_dim,
                          scores_ + p * kWide, kBf16KeyBlock, false);
    }
    for (int64_t half = 0; half < (kTall ? 2 : 1); ++half) {
      if (place < kBf16KeyBlock) {
        raise<true>(at, half, begin, place / kSide + half);
      } else {
        raise<false>(at, half, begin, kBf16KeyBlock / kSide);
      }
    }
    for (int64_t c = 0; c < out_step_; c += kWide) {
      whole_square<kTall>(prob_, values_ + c / kWide * packed_floats(kBf16KeyBlock), panels * kWide,
                          out_ + at * kWide * out_step_ + c, out_step_, begin > 0);
    }
  }

  // Scores of 16 rows become numerators in prob_, relative to the largest so far. Each row sees
  // `whole` vectors of the block and, with kDiagonal, of the next one as many places as its number.
  template <bool kDiagonal>
  void raise(int64_t at, int64_t half, int64_t begin, int64_t whole) {
    const float* scores = scores_ + half * kSide * kBf16KeyBlock;
    float* const state_top = top_ + at * kWide + half * kSide;
    float* const state_sum = sum_ + at * kWide + half * kSide;
    const __m512 scale = _mm512_set1_ps(piece_.scale * kLog2E);
    __m512 rows[kSide];
    largest_scores<kDiagonal>(scores, whole, rows);
    __m512 top = _mm512_mul_ps(join_rows(rows, Larger()), scale);
    __m512 factor = _mm512_setzero_ps();
    if (begin > 0) {
      const __m512 old = _mm512_load_ps(state_top);
      top = larger(old, top);
      factor = exp2_nonpositive(_mm512_sub_ps(old, top));
      rescale(out_ + (at * kWide + half * kSide) * out_step_, factor);
    }
    alignas(64) float tops[kSide];
    _mm512_store_ps(tops, top);
    _mm512_store_ps(state_top, top);
    float* const prob = prob_ + half * kTileFloats;
    FATHOM_UNROLL
    for (int r = 0; r < kSide; ++r) {
      rows[r] = raise_row<kDiagonal>(scores + r * kBf16KeyBlock, scale, _mm512_set1_ps(tops[r]),
                                     whole, first(r + 1), prob + r * kSide);
    }
    const __m512 before = begin > 0 ? _mm512_load_ps(state_sum) : _mm512_setzero_ps();
    _mm512_store_ps(state_sum, _mm512_fmadd_ps(before, factor, join_rows(rows, Sum())));
  }

  template <bool kDiagonal>
  FATHOM_INLINE static void largest_scores(const float* scores, int64_t whole,
                                           __m512 (&largest)[16]) {
    const __m512 none = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
    FATHOM_UNROLL
    for (int r = 0; r < kSide; ++r) {
      const float* row = scores + r * kBf16KeyBlock;
      if constexpr (kDiagonal) {
        largest[r] = _mm512_mask_loadu_ps(none, first(r + 1), row + whole * kSide);
      } else {
        largest[r] = _mm512_load_ps(row);
        for (int v = 1; v < kBf16KeyBlock / kSide; ++v)
          largest[r] = larger(largest[r], _mm512_load_ps(row + v * kSide));
      }
    }
    if constexpr (kDiagonal) {
      for (int64_t v = 0; v < whole; ++v) {
        FATHOM_UNROLL
        for (int r = 0; r < kSide; ++r) {
          largest[r] = larger(largest[r], _mm512_load_ps(scores + r * kBf16KeyBlock + v * kSide));
        }
      }
    }
  }

  // The numerators of one row, packed; returns their sums lane by lane.
  template <bool kDiagonal>
  FATHOM_INLINE static __m512 raise_row(const float* scores, __m512 scale, __m512 top,
                                        int64_t whole, __mmask16 last, float* prob) {
    const auto numerator = [&](int64_t v) {
      return exp2_nonpositive(_mm512_fmsub_ps(_mm512_load_ps(scores + v * kSide), scale, top));
    };
    const auto store_pair = [&](int64_t p, __m512 low, __m512 high) {
      _mm512_store_si512(prob + p * 2 * kTileFloats,
                         reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
    };
    const int64_t pairs = kDiagonal ? whole / 2 : kBf16KeyBlock / kWide;
    __m512 sum = _mm512_setzero_ps();
    for (int64_t p = 0; p < pairs; ++p) {
      const __m512 low = numerator(2 * p), high = numerator(2 * p + 1);
      sum = _mm512_add_ps(_mm512_add_ps(sum, low), high);
      store_pair(p, low, high);
    }
    if constexpr (kDiagonal) {
      const __m512 seen = _mm512_maskz_mov_ps(last, numerator(whole));
      if (whole % 2 == 0) {
        sum = _mm512_add_ps(sum, seen);
        store_pair(pairs, seen, _mm512_setzero_ps());
      } else {
        const __m512 low = numerator(whole - 1);
        sum = _mm512_add_ps(_mm512_add_ps(sum, low), seen);
        store_pair(pairs, low, seen);
      }
    }
    return sum;
  }

  void rescale(float* out, __m512 factor) const {
    if (_mm512_cmp_ps_mask(factor, _mm512_set1_ps(1.0f), _CMP_NEQ_UQ) == 0) return;
    alignas(64) float factors[kSide];
    _mm512_store_ps(factors, factor);
    for (int r = 0; r < kSide; ++r) {
      const __m512 by = _mm512_set1_ps(factors[r]);
      float* row = out + r * out_step_;
      for (int64_t c = 0; c < out_step_; c += kSide)
        _mm512_store_ps(row + c, _mm512_mul_ps(_mm512_load_ps(row + c), by));
    }
  }

  // Up to 16 rows: the output divided by its sum, and the log-sum-exp.
  void store_rows(int64_t head, int64_t row) {
    const int64_t at = head * strips_ * kWide + row, count = std::min(kSide, piece_.rows - row);
    const __m512 sum = _mm512_load_ps(sum_ + at);
    alignas(64) float inverse[kSide], lse[kSide];
    _mm512_store_ps(inverse, _mm512_div_ps(_mm512_set1_ps(1.0f), sum));
    _mm512_store_ps(lse,
                    _mm512_fmadd_ps(_mm512_load_ps(top_ + at), _mm512_set1_ps(kLn2), log_of(sum)));
    for (int64_t r = 0; r < count; ++r) {
      piece_.lse[(row + r) * piece_.lse_row + head] = lse[r];
      const float* from = out_ + (at + r) * out_step_;
      float* to = piece_.out + (row + r) * piece_.out_row + head * piece_.v_dim;
      const __m512 by = _mm512_set1_ps(inverse[r]);
      for (int64_t c = 0; c < piece_.v_dim; c += kSide) {
        _mm512_mask_storeu_ps(to + c, first(piece_.v_dim - c),
                              _mm512_mul_ps(_mm512_load_ps(from + c), by));
      }
    }
  }

  const AttendPiece& piece_;
  int64_t strips_, packed_row_, out_step_;
  float* queries_;     // [group, strips], strips of 32 rows, packed
  float* out_;         // [group, strips · 32, v_dim to whole panels], not yet divided by the sum
  float *top_, *sum_;  // [group, strips · 32]
  float* keys_;        // a block's panels of 32 keys, packed
  float* values_;      // a block's panels of 32 columns, packed
  float* prob_;        // a strip of numerators, packed
  float* scores_;      // [32, kBf16KeyBlock]
};

}  // namespace fathom::amx

#pragma GCC pop_options
