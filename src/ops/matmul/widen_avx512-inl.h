// Stored weights to f32 by vectors of 16, for ops/matmul/widen-inl.h.
//
// Included inside a `#pragma GCC target` region with avx512f, bw, dq and vl.

namespace fathom::products {
namespace {

struct Widen512 {
  static constexpr int64_t kCount = 16;

  static __mmask16 first16(int64_t count) {
    return static_cast<__mmask16>(count >= 16 ? 0xffff : (1u << count) - 1);
  }
  static void bf16(const uint16_t* from, int64_t count, float* to) {
    const __mmask16 mask = first16(count);
    const __m512i wide = _mm512_maskz_cvtepu16_epi32(mask, _mm256_maskz_loadu_epi16(mask, from));
    _mm512_mask_storeu_epi32(to, mask, _mm512_maskz_slli_epi32(mask, wide, 16));
  }
  static void f16(const uint16_t* from, int64_t count, float* to) {
    const __mmask16 mask = first16(count);
    _mm512_mask_storeu_ps(to, mask,
                          _mm512_maskz_cvtph_ps(mask, _mm256_maskz_loadu_epi16(mask, from)));
  }
  // As f16 a code is worth 2^-8 of its value: 4 more bits of exponent of bias 15, not 7. NaN, which
  // would be a number there, is put back.
  static void f8(const uint8_t* from, int64_t count, float scale, float* to) {
    const __mmask16 mask = first16(count);
    const __m128i codes = _mm_maskz_loadu_epi8(mask, from);
    const __m256i wide = _mm256_cvtepu8_epi16(codes);
    const __m256i magnitude = _mm256_slli_epi16(_mm256_and_si256(wide, _mm256_set1_epi16(0x7f)), 7);
    const __m256i sign = _mm256_slli_epi16(_mm256_and_si256(wide, _mm256_set1_epi16(0x80)), 8);
    const __m512 small = _mm512_maskz_cvtph_ps(mask, _mm256_or_si256(magnitude, sign));
    const __mmask16 nan =
        _mm_cmpeq_epi8_mask(_mm_and_si128(codes, _mm_set1_epi8(0x7f)), _mm_set1_epi8(0x7f));
    const __m512 value = _mm512_mul_ps(small, _mm512_set1_ps(scale * 256.0f));
    _mm512_mask_storeu_ps(to, mask,
                          _mm512_mask_blend_ps(nan, value, _mm512_set1_ps(__builtin_nanf(""))));
  }
};

}  // namespace
}  // namespace fathom::products
