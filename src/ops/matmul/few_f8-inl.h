// Products of few rows with FP8 codes as stored: decoding of text, which reads every weight once.
//
// Included after tile-inl.h inside a `#pragma GCC target` region with avx512f, bw, dq and vl. Codes
// are widened in registers, 16 rows of b across the lanes, one step of k after the other: the bits
// are those of any other product of the same values. About seven instructions for 16 codes, so that
// memory is the limit.

namespace fathom::products {
namespace {

// 16 rows of codes at one place of k. Few pointers, with steps that an address can add.
class CodeRows {
 public:
  CodeRows(const uint8_t* rows, int64_t step)
      : first_(rows), ninth_(rows + 8 * step), step_(step), step3_(3 * step) {}
  FATHOM_INLINE __m128i load(int row) const {
    const uint8_t* from = row < 8 ? first_ : ninth_;
    const int r = row % 8;
    const int64_t away = r % 3 == 0   ? r / 3 * step3_
                         : r % 2 == 0 ? r / 2 * (2 * step_)
                         : r == 1     ? step_
                         : r == 5     ? step_ + 4 * step_
                                      : step3_ + 4 * step_;
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + away));
  }
  FATHOM_INLINE void advance() {
    first_ += 16;
    ninth_ += 16;
    asm volatile("" : "+r"(first_), "+r"(ninth_));
  }

 private:
  const uint8_t *first_, *ninth_;
  int64_t step_, step3_;
};

// Codes of 16 rows at 16 steps of k.
struct Codes16 {
  __m512i quarter[4];  // quarter q of quarter[z]: row 4 q + z

  // By masked loads, which leave the shuffle unit alone.
  FATHOM_INLINE explicit Codes16(const CodeRows& rows) {
    FATHOM_UNROLL
    for (int z = 0; z < 4; ++z) {
      __m512i v = _mm512_castsi128_si512(rows.load(z));
      v = _mm512_mask_broadcast_i32x4(v, 0x00f0, rows.load(4 + z));
      v = _mm512_mask_broadcast_i32x4(v, 0x0f00, rows.load(8 + z));
      quarter[z] = _mm512_mask_broadcast_i32x4(v, 0xf000, rows.load(12 + z));
    }
  }
  // Keeps in each byte the largest magnitude so far; 0x7f is NaN.
  FATHOM_INLINE __m512i largest(__m512i so_far) const {
    FATHOM_UNROLL
    for (int z = 0; z < 4; ++z) {
      const __m512i magnitude = _mm512_and_si512(quarter[z], _mm512_set1_epi8(0x7f));
      so_far = _mm512_maskz_max_epu8(~0ull, so_far, magnitude);
    }
    return so_far;
  }
  // steps[w] holds 4 w + i for i < 4: eight rows of steps 0 and 1 in the first quarter, their other
  // eight rows in the second; 2 and 3 in the third and fourth.
  FATHOM_INLINE void transpose(__m512i (&steps)[4]) const {
    const __m512i low01 = _mm512_maskz_unpacklo_epi8(~0ull, quarter[0], quarter[1]);
    const __m512i low23 = _mm512_maskz_unpacklo_epi8(~0ull, quarter[2], quarter[3]);
    const __m512i high01 = _mm512_maskz_unpackhi_epi8(~0ull, quarter[0], quarter[1]);
    const __m512i high23 = _mm512_maskz_unpackhi_epi8(~0ull, quarter[2], quarter[3]);
    const __m512i across = _mm512_setr_epi32(0, 4, 1, 5, 8, 12, 9, 13, 2, 6, 3, 7, 10, 14, 11, 15);
    const auto gathered = [&](__m512i v) __attribute__((always_inline)) {
      return _mm512_maskz_permutexvar_epi32(0xffff, across, v);
    };
    steps[0] = gathered(_mm512_maskz_unpacklo_epi16(~0u, low01, low23));
    steps[1] = gathered(_mm512_maskz_unpackhi_epi16(~0u, low01, low23));
    steps[2] = gathered(_mm512_maskz_unpacklo_epi16(~0u, high01, high23));
    steps[3] = gathered(_mm512_maskz_unpackhi_epi16(~0u, high01, high23));
  }
};

// Codes in the upper halves of 16-bit lanes to f16, each worth 2^-8 of its value: the exponent has
// four bits here and five there, in which it is worth 8 less. No code is NaN.
FATHOM_INLINE __m512i f8_to_small_f16(__m512i codes) {
  return _mm512_and_si512(_mm512_maskz_srai_epi16(~0u, codes, 1), _mm512_set1_epi16(-0x4001));
}

// Adds 16 steps of k. The halves go by memory: loads that widen leave the shuffle unit alone.
template <class V, int kRows>
FATHOM_INLINE void add_f8_steps(Sums<V, kRows, 1>& sums, const AcrossRows<kRows>& a,
                                const Codes16& codes, __m512 scale) {
  alignas(64) uint16_t halves[16][V::kLanes];
  const __m512i zero = _mm512_setzero_si512();
  __m512i steps[4];
  codes.transpose(steps);
  FATHOM_UNROLL
  for (int w = 0; w < 4; ++w) {
    // Steps 0 and 2, then 1 and 3 of these four.
    const __m512i even = _mm512_maskz_unpacklo_epi8(~0ull, zero, steps[w]);
    const __m512i odd = _mm512_maskz_unpackhi_epi8(~0ull, zero, steps[w]);
    _mm512_store_si512(halves[4 * w], f8_to_small_f16(even));
    _mm512_store_si512(halves[4 * w + 2], f8_to_small_f16(odd));
  }
  asm volatile("" : "+m"(halves));  // else they never go by memory
  FATHOM_UNROLL
  for (int u = 0; u < 16; ++u) {
    constexpr int kPlace[4] = {0, 2, 1, 3};
    const auto* at = reinterpret_cast<const __m256i*>(halves[u / 4 * 4 + kPlace[u % 4]]);
    const __m512 value = _mm512_maskz_cvtph_ps(0xffff, _mm256_load_si256(at));
    add_few<V, kRows>(sums, a, u, _mm512_mul_ps(value, scale));
  }
}

// Columns j … j + 15 of c, code by code: the last steps of k, and b with NaN, in which speed is no
// matter.
template <class V, int kRows>
void add_f8_slowly(Sums<V, kRows, 1>& sums, const Block& p, int64_t j, int64_t begin, int64_t end) {
  for (int64_t k = begin; k < end; ++k) {
    alignas(64) float column[V::kLanes];
    for (int64_t r = 0; r < V::kLanes; ++r) {
      const Operand at = p.b.at(j + r, k);
      V::Widen::f8(static_cast<const uint8_t*>(at.data), 1, at.scales.of(0, 0), column + r);
    }
    const AcrossRows<kRows> a(p.a.floats() + k, p.a.step);
    add_few<V, kRows>(sums, a, 0, V::load(column));
  }
}

// Columns j … j + 15 of c. The blocks of scales must begin at multiples of 16 rows of this b.
template <class V, int kRows>
void multiply_few_f8(const Block& p, int64_t j) {
  Tile t;
  t.c = p.c + j;
  t.c_step = p.c_step;
  t.last_count = V::kLanes;
  t.load_c = p.accumulate;
  Sums<V, kRows, 1> sums;
  sums.begin(t);
  AcrossRows<kRows> a(p.a.floats(), p.a.step);
  const Operand b = p.b.at(j, 0);
  const auto* codes = static_cast<const uint8_t*>(b.data);
  CodeRows rows(codes, b.step);
  const uint8_t* ahead = codes + V::kLanes * b.step;  // the next columns', a piece at each step
  __m512i largest = _mm512_setzero_si512();
  int64_t k = 0;
  for (; k + 16 <= p.k; k += 16) {
    FATHOM_UNROLL
    for (int line = 0; line < 4; ++line) _mm_prefetch(ahead + 64 * line, _MM_HINT_T0);
    ahead += V::kLanes * 16;
    const Codes16 some(rows);
    largest = some.largest(largest);
    add_f8_steps<V, kRows>(sums, a, some, _mm512_set1_ps(b.scales.of(0, k) * 256.0f));
    rows.advance();
    a.template advance<16>();
  }
  if (_mm512_cmpeq_epi8_mask(largest, _mm512_set1_epi8(0x7f)) != 0) [[unlikely]] {
    sums.begin(t);
    k = 0;
  }
  add_f8_slowly<V, kRows>(sums, p, j, k, p.k);
  sums.finish(t);
}

}  // namespace
}  // namespace fathom::products
