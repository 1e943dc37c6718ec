#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "ops/matmul/blocks.h"
#include "ops/matmul/kernels.h"

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")

#include "ops/matmul/block-inl.h"

namespace fathom::products {
namespace {

// Stored weights to f32, eight at a time; the few at the end of a row pass through a buffer.
struct Widen256 {
  static constexpr int64_t kCount = 8;

  template <class T, class Widen>
  static void buffered(const T* from, int64_t count, float* to, const Widen& widen) {
    for (; count >= kCount; count -= kCount, from += kCount, to += kCount) widen(from, to);
    if (count == 0) return;
    T in[kCount] = {};
    float out[kCount];
    std::copy_n(from, count, in);
    widen(in, out);
    std::copy_n(out, count, to);
  }
  static __m128i load8(const uint16_t* from) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  }
  static void bf16(const uint16_t* from, int64_t count, float* to) {
    buffered(from, count, to, [](const uint16_t* in, float* out) {
      const __m256i wide = _mm256_slli_epi32(_mm256_cvtepu16_epi32(load8(in)), 16);
      _mm256_storeu_ps(out, _mm256_castsi256_ps(wide));
    });
  }
  static void f16(const uint16_t* from, int64_t count, float* to) {
    buffered(from, count, to, [](const uint16_t* in, float* out) {
      _mm256_storeu_ps(out, _mm256_cvtph_ps(load8(in)));
    });
  }
  // As Widen512::f8.
  static void f8(const uint8_t* from, int64_t count, float scale, float* to) {
    buffered(from, count, to, [scale](const uint8_t* in, float* out) {
      const __m128i codes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(in));
      const __m128i wide = _mm_cvtepu8_epi16(codes);
      const __m128i low = _mm_and_si128(wide, _mm_set1_epi16(0x7f));
      const __m128i sign = _mm_slli_epi16(_mm_and_si128(wide, _mm_set1_epi16(0x80)), 8);
      const __m256 small = _mm256_cvtph_ps(_mm_or_si128(_mm_slli_epi16(low, 7), sign));
      const __m256i nan = _mm256_cvtepi16_epi32(_mm_cmpeq_epi16(low, _mm_set1_epi16(0x7f)));
      const __m256 value = _mm256_mul_ps(small, _mm256_set1_ps(scale * 256.0f));
      _mm256_storeu_ps(out, _mm256_blendv_ps(value, _mm256_set1_ps(__builtin_nanf("")),
                                             _mm256_castsi256_ps(nan)));
    });
  }
};

struct Avx2 {
  using Vec = __m256;
  using Widen = Widen256;
  static constexpr bool kMultipliesFewF8 = false;
  static constexpr int64_t kLanes = 8;
  static constexpr int kTileRows = 6;
  static constexpr int kFewRows = 6;
  static constexpr int64_t kBlockColumns = 192;

  static Vec zero() { return _mm256_setzero_ps(); }
  static Vec all(const float* x) { return _mm256_broadcast_ss(x); }
  static Vec load(const float* x) { return _mm256_loadu_ps(x); }
  static void store(float* x, Vec v) { _mm256_storeu_ps(x, v); }
  static Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
  static __m256i first(int64_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static Vec load_part(const float* x, int64_t count) {
    return _mm256_maskload_ps(x, first(count));
  }
  static void store_part(float* x, Vec v, int64_t count) {
    _mm256_maskstore_ps(x, first(count), v);
  }

  // Inlined early, or the compiler takes it for a function without effect and drops it.
  FATHOM_INLINE static void prefetch(const float* x) { _mm_prefetch(x, _MM_HINT_T0); }
  FATHOM_INLINE static void prefetch_far(const char* x) { _mm_prefetch(x, _MM_HINT_T1); }

  template <class Rows>
  FATHOM_INLINE static void transpose4(const Rows& rows, Vec (&column)[4]) {
    transpose(
        column, [&](int i) __attribute__((always_inline)) { return _mm_loadu_ps(rows.at(i, 0)); });
  }
  template <class Rows>
  FATHOM_INLINE static void transpose4_part(const Rows& rows, int64_t count, Vec (&column)[4]) {
    const __m128i mask = _mm256_castsi256_si128(first(count));
    transpose(
        column, [&](int i) __attribute__((always_inline)) {
          return _mm_maskload_ps(rows.at(i, 0), mask);
        });
  }

 private:
  // Rows i and i + 4 into the halves of one vector, then 4 x 4 within the halves.
  template <class Load>
  FATHOM_INLINE static void transpose(Vec (&column)[4], const Load& load) {
    Vec halves[4];
    FATHOM_UNROLL
    for (int i = 0; i < 4; ++i)
      halves[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(load(i)), load(i + 4), 1);
    const __m256d low01 = _mm256_castps_pd(_mm256_unpacklo_ps(halves[0], halves[1]));
    const __m256d low23 = _mm256_castps_pd(_mm256_unpacklo_ps(halves[2], halves[3]));
    const __m256d high01 = _mm256_castps_pd(_mm256_unpackhi_ps(halves[0], halves[1]));
    const __m256d high23 = _mm256_castps_pd(_mm256_unpackhi_ps(halves[2], halves[3]));
    column[0] = _mm256_castpd_ps(_mm256_unpacklo_pd(low01, low23));
    column[1] = _mm256_castpd_ps(_mm256_unpackhi_pd(low01, low23));
    column[2] = _mm256_castpd_ps(_mm256_unpacklo_pd(high01, high23));
    column[3] = _mm256_castpd_ps(_mm256_unpackhi_pd(high01, high23));
  }
};

constexpr BlockKernel kKernel = {
    &multiply_block<Avx2>, Avx2::kTileRows,  kPanelColumns<Avx2>, kPanelCost, 0,
    &panel_floats<Avx2>,   &pack_panel<Avx2>};
constexpr auto* kBurst = &multiply_add_burst<Avx2>;
constexpr int64_t kBurstOperations = 4 * Avx2::kTileRows * Avx2::kLanes;

}  // namespace
}  // namespace fathom::products

#pragma GCC pop_options

namespace fathom::avx2 {

using products::Form;
using products::kKernel;

void matmul_nt(Stream*, ConstView a, ConstView b, View c, bool accumulate) {
  products::matmul(kKernel, Form::kNt, a, b, c, accumulate);
}

void matmul_nn(Stream*, ConstView a, ConstView b, View c, bool accumulate) {
  products::matmul(kKernel, Form::kNn, a, b, c, accumulate);
}

void matmul_tn(Stream*, ConstView a, ConstView b, View c, bool accumulate) {
  products::matmul(kKernel, Form::kTn, a, b, c, accumulate);
}

void grouped_nt(Stream*, ConstView a, ConstView offsets, ConstView b, View c) {
  products::grouped(kKernel, Form::kNt, a, offsets, b, c);
}

void grouped_nn(Stream*, ConstView a, ConstView offsets, ConstView b, View c) {
  products::grouped(kKernel, Form::kNn, a, offsets, b, c);
}

int64_t packed_floats(int64_t n, int64_t k) { return kKernel.packed_floats(n, k); }

void pack(Stream*, ConstView b, View packed) { products::pack_all(kKernel, b, packed); }

void matmul_packed(Stream*, ConstView a, ConstView packed, View c) {
  products::matmul(kKernel, Form::kPacked, a, packed, c, false);
}

void grouped_packed(Stream*, ConstView a, ConstView offsets, ConstView packed, View c) {
  products::grouped(kKernel, Form::kPacked, a, offsets, packed, c);
}

void grouped_stored(Stream*, ConstView a, ConstView offsets, std::span<const ConstView> b, View c) {
  products::grouped_stored(kKernel, a, offsets, b, c);
}

void grouped_tn(Stream*, ConstView a, ConstView offsets, ConstView b, View c, uint8_t* live) {
  products::grouped_tn(kKernel, a, offsets, b, c, live);
}

MultiplyAddBurst multiply_add_burst() { return {products::kBurst, products::kBurstOperations}; }

}  // namespace fathom::avx2
