#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "ops/matmul/blocks.h"
#include "ops/matmul/kernels.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma,avx2")

#include "ops/matmul/block-inl.h"
#include "ops/matmul/few_f8-inl.h"
#include "ops/matmul/widen_avx512-inl.h"

namespace fathom::products {
namespace {

struct Avx512 {
  using Vec = __m512;
  using Widen = Widen512;
  static constexpr bool kMultipliesFewF8 = true;
  static constexpr int64_t kLanes = 16;
  static constexpr int kTileRows = 14;
  static constexpr int kFewRows = 14;
  static constexpr int64_t kBlockColumns = 384;

  static Vec zero() { return _mm512_setzero_ps(); }
  static Vec all(const float* x) { return _mm512_set1_ps(*x); }
  static Vec load(const float* x) { return _mm512_loadu_ps(x); }
  static void store(float* x, Vec v) { _mm512_storeu_ps(x, v); }
  static Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
  static __mmask16 first(int64_t count) { return static_cast<__mmask16>((1u << count) - 1); }
  static Vec load_part(const float* x, int64_t count) {
    return _mm512_maskz_loadu_ps(first(count), x);
  }
  static void store_part(float* x, Vec v, int64_t count) {
    _mm512_mask_storeu_ps(x, first(count), v);
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
    const auto mask = static_cast<__mmask8>(first(count));
    transpose(
        column, [&](int i) __attribute__((always_inline)) {
          return _mm_maskz_loadu_ps(mask, rows.at(i, 0));
        });
  }

 private:
  // Zero-masked with a full mask: GCC 12 warns of its own header's undefined operand in the plain
  // intrinsics.
  static __m512 unpacklo(__m512 a, __m512 b) { return _mm512_maskz_unpacklo_ps(0xffff, a, b); }
  static __m512 unpackhi(__m512 a, __m512 b) { return _mm512_maskz_unpackhi_ps(0xffff, a, b); }
  static __m512d unpacklo(__m512d a, __m512d b) { return _mm512_maskz_unpacklo_pd(0xff, a, b); }
  static __m512d unpackhi(__m512d a, __m512d b) { return _mm512_maskz_unpackhi_pd(0xff, a, b); }

  // Rows i, i + 4, i + 8, i + 12 into the quarters of one vector by masked loads, which leave the
  // shuffle unit alone; then 4 x 4 within the quarters.
  template <class Load>
  FATHOM_INLINE static void transpose(Vec (&column)[4], const Load& load) {
    Vec quarters[4];
    FATHOM_UNROLL
    for (int i = 0; i < 4; ++i) {
      Vec v = _mm512_castps128_ps512(load(i));
      v = _mm512_mask_broadcast_f32x4(v, 0x00f0, load(i + 4));
      v = _mm512_mask_broadcast_f32x4(v, 0x0f00, load(i + 8));
      quarters[i] = _mm512_mask_broadcast_f32x4(v, 0xf000, load(i + 12));
    }
    const __m512d low01 = _mm512_castps_pd(unpacklo(quarters[0], quarters[1]));
    const __m512d low23 = _mm512_castps_pd(unpacklo(quarters[2], quarters[3]));
    const __m512d high01 = _mm512_castps_pd(unpackhi(quarters[0], quarters[1]));
    const __m512d high23 = _mm512_castps_pd(unpackhi(quarters[2], quarters[3]));
    column[0] = _mm512_castpd_ps(unpacklo(low01, low23));
    column[1] = _mm512_castpd_ps(unpackhi(low01, low23));
    column[2] = _mm512_castpd_ps(unpacklo(high01, high23));
    column[3] = _mm512_castpd_ps(unpackhi(high01, high23));
  }
};

constexpr BlockKernel kKernel = {
    &multiply_block<Avx512>, Avx512::kTileRows,  kPanelColumns<Avx512>, kPanelCost, 0,
    &panel_floats<Avx512>,   &pack_panel<Avx512>};
constexpr auto* kBurst = &multiply_add_burst<Avx512>;
constexpr int64_t kBurstOperations = 4 * Avx512::kTileRows * Avx512::kLanes;

}  // namespace
}  // namespace fathom::products

#pragma GCC pop_options

namespace fathom::avx512 {

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

}  // namespace fathom::avx512
