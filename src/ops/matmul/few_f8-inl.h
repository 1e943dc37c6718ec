// f32 products of few rows with FP8 codes as stored. Steps of k are added one after the other: the
// bits are those of any other product of the same values.
//
// Included after tile-inl.h inside a `#pragma GCC target` region with avx512f, bw, dq and vl.

#include "ops/matmul/f8_codes-inl.h"

namespace fathom::products {
namespace {

// Adds 16 steps of k.
template <class V, int kRows>
FATHOM_INLINE void add_f8_steps(Sums<V, kRows, 1>& sums, const AcrossRows<kRows>& a,
                                const Codes16& codes, __m512 factor) {
  alignas(64) uint16_t halves[16][16];
  f8_to_small_f16(codes, halves);
  FATHOM_UNROLL
  for (int u = 0; u < 16; ++u) add_few<V, kRows>(sums, a, u, f8_values(halves, u, factor));
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
