// FP8 codes as stored, 16 rows across the lanes, widened in registers: what decoding of text needs,
// which reads every weight once.
//
// Included inside a `#pragma GCC target` region with avx512f, bw, dq and vl, where FATHOM_INLINE
// and FATHOM_UNROLL are known. About seven instructions for 16 codes, so that memory is the limit.

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

// 16 steps of k as f16, a row of `halves` for each step; they go by memory, because loads that
// widen leave the shuffle unit alone.
FATHOM_INLINE void f8_to_small_f16(const Codes16& codes, uint16_t (&halves)[16][16]) {
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
}
// The values of step u.
FATHOM_INLINE __m512 f8_values(const uint16_t (&halves)[16][16], int u, __m512 factor) {
  constexpr int kPlace[4] = {0, 2, 1, 3};
  const auto* at = reinterpret_cast<const __m256i*>(halves[u / 4 * 4 + kPlace[u % 4]]);
  return _mm512_mul_ps(_mm512_maskz_cvtph_ps(0xffff, _mm256_load_si256(at)), factor);
}

}  // namespace
}  // namespace fathom::products
