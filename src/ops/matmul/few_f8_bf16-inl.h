// Products of few rows with FP8 codes as stored, both rounded to bf16, by vectors: the bits of the
// tile instructions, which read four times as much memory to pack what they multiply once.
//
// Like a tile, sums over 32 steps of k: those of even and of odd steps apart, added to each other
// and then to c; numbers below the normal ones count as 0. Included inside a `#pragma GCC target`
// region with avx512f, bw, dq, vl and bf16.

#include "ops/matmul/f8_codes-inl.h"

namespace fathom::products {
namespace {

constexpr int kMostFewRounded = 4;  // sums of even and odd steps and of all stay in registers

// Numbers below the normal ones are 0, in operands and results.
class FlushesDenormals {
 public:
  FlushesDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
  ~FlushesDenormals() { _mm_setcsr(before_); }
  FlushesDenormals(const FlushesDenormals&) = delete;
  FlushesDenormals& operator=(const FlushesDenormals&) = delete;

 private:
  unsigned before_;
};

FATHOM_INLINE __m512 rounded_to_bf16(__m512 x) {
  const auto halves = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x));
  return _mm512_castsi512_ps(
      _mm512_maskz_slli_epi32(0xffff, _mm512_maskz_cvtepu16_epi32(0xffff, halves), 16));
}

// Rows of a, rounded, k of them in a row of `to`.
inline void round_rows(const Operand& a, int64_t rows, int64_t k, float* to) {
  for (int64_t r = 0; r < rows; ++r) {
    const Operand row = a.at(r, 0);
    for (int64_t i = 0; i < k; ++i) {
      to[r * k + i] =
          bf16_to_f32(row.dtype == DType::kBF16 ? row.halves()[i] : f32_to_bf16(row.floats()[i]));
    }
  }
}

// c of `kRows` rows and 16 columns, and the sums of 32 steps on their way to it.
template <int kRows>
struct RoundedSums {
  __m512 sum[kRows], part[kRows][2];

  FATHOM_INLINE void begin_tile() {
    FATHOM_UNROLL
    for (int i = 0; i < kRows; ++i) part[i][0] = part[i][1] = _mm512_setzero_ps();
  }
  // Step u of a tile; `a` points to it.
  FATHOM_INLINE void add(const float* a, int64_t k, int u, __m512 b) {
    FATHOM_UNROLL
    for (int i = 0; i < kRows; ++i)
      part[i][u % 2] = _mm512_fmadd_ps(_mm512_set1_ps(a[i * k]), b, part[i][u % 2]);
  }
  FATHOM_INLINE void end_tile() {
    FATHOM_UNROLL
    for (int i = 0; i < kRows; ++i)
      sum[i] = _mm512_add_ps(sum[i], _mm512_add_ps(part[i][0], part[i][1]));
  }
  FATHOM_INLINE void load(const Block& p, int64_t j) {
    FATHOM_UNROLL
    for (int i = 0; i < kRows; ++i)
      sum[i] = p.accumulate ? _mm512_loadu_ps(p.c + i * p.c_step + j) : _mm512_setzero_ps();
  }
  FATHOM_INLINE void store(const Block& p, int64_t j) const {
    FATHOM_UNROLL
    for (int i = 0; i < kRows; ++i) _mm512_storeu_ps(p.c + i * p.c_step + j, sum[i]);
  }
};

// Code by code: the last steps of k, and b with NaN.
template <int kRows>
void add_tiles_slowly(RoundedSums<kRows>& sums, const Block& p, int64_t j, const float* a,
                      int64_t k) {
  for (; k < p.k; k += 32) {
    sums.begin_tile();
    for (int u = 0; u < std::min<int64_t>(32, p.k - k); ++u) {
      alignas(64) float column[16];
      for (int64_t r = 0; r < 16; ++r) {
        const Operand at = p.b.at(j + r, k + u);
        Widen512::f8(static_cast<const uint8_t*>(at.data), 1, at.scales.of(0, 0), column + r);
      }
      sums.add(a + k + u, p.k, u, rounded_to_bf16(_mm512_load_ps(column)));
    }
    sums.end_tile();
  }
}

// Columns j … j + 15 of c.
template <int kRows>
void multiply_few_rounded(const Block& p, int64_t j, const float* a) {
  RoundedSums<kRows> sums;
  sums.load(p, j);
  const Operand b = p.b.at(j, 0);
  const auto* codes = static_cast<const uint8_t*>(b.data);
  CodeRows rows(codes, b.step);
  const uint8_t* ahead = codes + 16 * b.step;  // the next columns', a piece at each step
  __m512i largest = _mm512_setzero_si512();
  int64_t k = 0;
  for (; k + 32 <= p.k; k += 32) {
    sums.begin_tile();
    FATHOM_UNROLL
    for (int half = 0; half < 32; half += 16) {
      FATHOM_UNROLL
      for (int line = 0; line < 4; ++line) _mm_prefetch(ahead + 64 * line, _MM_HINT_T0);
      ahead += 256;
      const Codes16 some(rows);
      largest = some.largest(largest);
      alignas(64) uint16_t halves[16][16];
      f8_to_small_f16(some, halves);
      const __m512 factor = _mm512_set1_ps(b.scales.of(0, k + half) * 256.0f);
      FATHOM_UNROLL
      for (int u = 0; u < 16; ++u) {
        sums.add(a + k + half + u, p.k, u, rounded_to_bf16(f8_values(halves, u, factor)));
      }
      rows.advance();
    }
    sums.end_tile();
  }
  if (_mm512_cmpeq_epi8_mask(largest, _mm512_set1_epi8(0x7f)) != 0) [[unlikely]] {
    sums.load(p, j);
    k = 0;
  }
  add_tiles_slowly<kRows>(sums, p, j, a, k);
  sums.store(p, j);
}

// Whether all of c can be computed so: few rows, whole groups of 16 columns with the same scale.
inline bool is_few_rounded(const Block& p) {
  return p.form == Form::kNt && p.m <= kMostFewRounded && p.b.dtype == DType::kF8E4M3 &&
         p.n % 16 == 0 && p.b.scales.row % 16 == 0 && p.b.scales.column % 16 == 0;
}

inline void multiply_few_rounded(const Block& p) {
  const FlushesDenormals flush;
  float* a = scratch(p.m * p.k);
  round_rows(p.a, p.m, p.k, a);
  for (int64_t j = 0; j < p.n; j += 16) {
    if (p.m == 1) multiply_few_rounded<1>(p, j, a);
    if (p.m == 2) multiply_few_rounded<2>(p, j, a);
    if (p.m == 3) multiply_few_rounded<3>(p, j, a);
    if (p.m == 4) multiply_few_rounded<4>(p, j, a);
  }
}

}  // namespace
}  // namespace fathom::products
