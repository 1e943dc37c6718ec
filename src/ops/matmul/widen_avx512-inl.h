// Stored weights to f32 by vectors of 16, for ops/matmul/widen-inl.h.
//
// Included inside a `#pragma GCC target` region with avx512f, bw, dq and vl.

namespace fathom::products {
namespace {

struct Widen512 {
  static void bf16(const uint16_t* from, int64_t count, float* to) {
    each16(
        count, [&](int64_t i, __mmask16 mask) __attribute__((always_inline)) {
          const __m512i wide =
              _mm512_maskz_cvtepu16_epi32(mask, _mm256_maskz_loadu_epi16(mask, from + i));
          _mm512_mask_storeu_epi32(to + i, mask, _mm512_maskz_slli_epi32(mask, wide, 16));
        });
  }
  static void f16(const uint16_t* from, int64_t count, float* to) {
    each16(
        count, [&](int64_t i, __mmask16 mask) __attribute__((always_inline)) {
          const __m256i halves = _mm256_maskz_loadu_epi16(mask, from + i);
          _mm512_mask_storeu_ps(to + i, mask, _mm512_maskz_cvtph_ps(mask, halves));
        });
  }
  // As f16 a code is worth 2^-8 of its value: 4 more bits of exponent of bias 15, not 7. NaN, which
  // would be a number there, is put back.
  static void f8(const uint8_t* from, int64_t count, float scale, float* to) {
    const __m512 factor = _mm512_set1_ps(scale * 256.0f);
    each16(
        count, [&](int64_t i, __mmask16 mask) __attribute__((always_inline)) {
          const __m128i codes = _mm_maskz_loadu_epi8(mask, from + i);
          const __m256i wide = _mm256_maskz_cvtepu8_epi16(0xffff, codes);
          const __m256i sign = _mm256_and_si256(wide, _mm256_set1_epi16(0x80));
          const __m256i half = _mm256_slli_epi16(_mm256_add_epi16(wide, sign), 7);
          __m512 value = _mm512_mul_ps(_mm512_maskz_cvtph_ps(0xffff, half), factor);
          const __m128i magnitude = _mm_set1_epi8(0x7f);
          const __mmask16 nan = _mm_cmpeq_epi8_mask(_mm_and_si128(codes, magnitude), magnitude);
          value = _mm512_mask_blend_ps(nan, value, _mm512_set1_ps(__builtin_nanf("")));
          _mm512_mask_storeu_ps(to + i, mask, value);
        });
  }

 private:
  // Calls fn(first element, mask); with a full mask that the compiler sees, but for the last.
  template <class Fn>
  FATHOM_INLINE static void each16(int64_t count, const Fn& fn) {
    int64_t i = 0;
    for (; i + 16 <= count; i += 16) fn(i, 0xffff);
    if (i < count) fn(i, static_cast<__mmask16>((1u << (count - i)) - 1));
  }
};

}  // namespace
}  // namespace fathom::products
