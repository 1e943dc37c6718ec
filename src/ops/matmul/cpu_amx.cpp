// Products of operands rounded to bf16, on AMX tiles.
//
// A tile instruction takes 16 x 32 elements of a and 32 x 16 of b. Both are rounded while they are
// packed: a strip of 32 rows of a at a time, 32 columns of b in a panel, in the order in which the
// tiles read them. Four tiles of c stay in registers. k is cut at multiples of 32 whatever the
// shape, padded with zeros, so that a result does not depend on the others around it.
//
// One thread of a shared Xeon, rounding included: 500 to 1000 GFLOP/s on the training shapes, 3 to
// 6 times the f32 products and 1.5 to 2.5 times oneDNN 2.6 with rounding by vectors before it.
// Memory is the limit: with k = 192 a square of c is written every 400 cycles.
#include <immintrin.h>

#include <algorithm>
#include <cstdint>

#include "base/float_bits.h"
#include "ops/matmul/amx_tiles-inl.h"
#include "ops/matmul/blocks.h"
#include "ops/matmul/kernels.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,amx-tile,amx-bf16,prfchw")

#include "ops/matmul/widen-inl.h"
#include "ops/matmul/widen_avx512-inl.h"
// After what it uses.
#include "ops/matmul/few_f8_bf16-inl.h"

namespace fathom::products {
namespace {

using namespace amx;

constexpr int64_t kMaxBlockK = 512, kBlockColumns = 512;

// Calls fn(first element) with the operand's own type.
template <class Fn>
FATHOM_INLINE auto with_elements(const Operand& operand, const Fn& fn) {
  return operand.dtype == DType::kBF16 ? fn(operand.halves()) : fn(operand.floats());
}

// The rows of a (or its columns, for kTn) from `i` on that the next strip packs.
Ahead<false> strip_ahead(const Block& p, int64_t i) {
  if (i >= p.m) return {};
  const int64_t rows = std::min(kWide, p.m - i);
  const bool tn = p.form == Form::kTn;
  return with_elements(tn ? p.a.at(0, i) : p.a.at(i, 0), [&](const auto* from) {
    return Ahead<false>(from, p.a.step, tn ? p.k : rows, tn ? rows : p.k);
  });
}

// The square of c at (i, j), or the first one of the next strip where j is past the last.
Ahead<true> square_ahead(const Block& p, int64_t i, int64_t j) {
  if (j >= p.n) {
    i += kWide;
    j = 0;
  }
  if (i >= p.m) return {};
  return {p.c + i * p.c_step + j, p.c_step, std::min(kWide, p.m - i), std::min(kWide, p.n - j)};
}

// A b as stored, 512 steps at most: rounded to f32 first where FP8 codes have scales.
void pack_stored(const Block& p, int64_t j, int64_t columns, float* to) {
  alignas(64) thread_local float wide[kWide * kMaxBlockK];
  if (p.form == Form::kNt) {
    widen_rows<Widen512>(p.b.at(j, 0), columns, p.k, wide, p.k);
    pack<true, true>(wide, p.k, columns, p.k, to);
  } else {
    widen_rows<Widen512>(p.b.at(0, j), p.k, columns, wide, kWide);
    pack<false, false>(wide, kWide, columns, p.k, to);
  }
}

// Columns j … j + columns − 1 of b into a panel; rows i … i + rows − 1 of a into a strip.
void pack_panel(const Block& p, int64_t j, int64_t columns, float* to) {
  if (!p.b.f32() && p.b.dtype != DType::kBF16) return pack_stored(p, j, columns, to);
  if (p.form == Form::kNt) {
    return with_elements(p.b.at(j, 0), [&](const auto* from) {
      pack<true, true>(from, p.b.step, columns, p.k, to);
    });
  }
  with_elements(p.b.at(0, j),
                [&](const auto* from) { pack<false, false>(from, p.b.step, columns, p.k, to); });
}
void pack_strip(const Block& p, int64_t i, int64_t rows, float* to) {
  if (p.form == Form::kTn) {
    return with_elements(
        p.a.at(0, i), [&](const auto* from) { pack<false, true>(from, p.a.step, rows, p.k, to); });
  }
  with_elements(p.a.at(i, 0),
                [&](const auto* from) { amx::pack_strip(from, p.a.step, rows, p.k, to); });
}

// Part of a block whose packed columns of b fit the second-level cache.
void multiply_part(const Block& p, float* memory) {
  const int64_t packed = packed_floats(p.k);
  float* const strip = memory;
  float* const panels = memory + packed;
  for (int64_t j = 0; j < p.n && p.form != Form::kPacked; j += kWide) {
    pack_panel(p, j, std::min(kWide, p.n - j), panels + j / kWide * packed);
  }
  const int64_t steps = divide_up(p.k, kDepth), squares = divide_up(p.n, kWide);
  for (int64_t i = 0; i < p.m; i += kWide) {
    const int64_t rows = std::min(kWide, p.m - i);
    pack_strip(p, i, rows, strip);
    Ahead<false> next_a = strip_ahead(p, i + kWide);
    const int64_t a_lines = divide_up(next_a.lines(), steps * squares);
    for (int64_t j = 0; j < p.n; j += kWide) {
      const Square c(p.c + i * p.c_step + j, p.c_step, rows, std::min(kWide, p.n - j));
      Ahead<true> next_c = square_ahead(p, i, j + kWide);
      const int64_t c_lines = divide_up(next_c.lines(), steps);
      const float* panel =
          p.form == Form::kPacked ? p.b.at(j / kWide, 0).floats() : panels + j / kWide * packed;
      multiply_square(strip, panel, p.k, c, p.accumulate, [&] {
        next_a.fetch(a_lines);
        next_c.fetch(c_lines);
      });
    }
  }
}

void multiply_block(const Block& p) {
  if (p.k == 0) {
    for (int64_t i = 0; i < p.m && !p.accumulate; ++i) std::fill_n(p.c + i * p.c_step, p.n, 0.0f);
    return;
  }
  if (is_few_rounded(p)) return multiply_few_rounded(p);
  const Tiles tiles;
  const int64_t k_blocks = divide_up(p.k, kMaxBlockK);
  const int64_t block_k = divide_up(divide_up(p.k, k_blocks), kDepth) * kDepth;
  const int64_t panels = divide_up(std::min(p.n, kBlockColumns), kWide);
  float* memory = scratch((1 + panels) * packed_floats(block_k));
  for (int64_t j = 0; j < p.n; j += kBlockColumns) {
    for (int64_t k = 0; k < p.k; k += block_k) {
      Block part = p;
      part.a = p.form == Form::kTn ? p.a.at(k, 0) : p.a.at(0, k);
      part.b = p.form == Form::kNt       ? p.b.at(j, k)
               : p.form == Form::kPacked ? p.b.at(j / kWide, packed_floats(k))
                                         : p.b.at(k, j);
      part.c += j;
      part.n = std::min(kBlockColumns, p.n - j);
      part.k = std::min(block_k, p.k - k);
      part.accumulate = p.accumulate || k > 0;
      multiply_part(part, memory);
    }
  }
}

constexpr BlockKernel kKernel = {&multiply_block,         kWide, kWide, 48, 2, &packed_floats,
                                 &pack<true, true, float>};

// As in a product: four tiles of c, two of a and two of b, all in registers.
constexpr int64_t kBurstOperations = 4 * 2 * kSide * kSide * kDepth;
float tile_burst(int64_t rounds) {
  const Tiles tiles;
  alignas(64) float values[kTileFloats] = {};
  _tile_loadd(4, values, 64);
  _tile_loadd(5, values, 64);
  _tile_loadd(6, values, 64);
  _tile_loadd(7, values, 64);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t r = 0; r < rounds; ++r) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, values, 64);
  return values[0];
}

}  // namespace
}  // namespace fathom::products

#pragma GCC pop_options

namespace fathom::amx {

using products::Form;
using products::kKernel;

void matmul_bf16_nt(Stream*, ConstView a, ConstView b, View c, bool accumulate) {
  products::matmul(kKernel, Form::kNt, a, b, c, accumulate);
}

void matmul_bf16_nn(Stream*, ConstView a, ConstView b, View c, bool accumulate) {
  products::matmul(kKernel, Form::kNn, a, b, c, accumulate);
}

void matmul_bf16_tn(Stream*, ConstView a, ConstView b, View c, bool accumulate) {
  products::matmul(kKernel, Form::kTn, a, b, c, accumulate);
}

void grouped_bf16_nt(Stream*, ConstView a, ConstView offsets, ConstView b, View c) {
  products::grouped(kKernel, Form::kNt, a, offsets, b, c);
}

void grouped_bf16_nn(Stream*, ConstView a, ConstView offsets, ConstView b, View c) {
  products::grouped(kKernel, Form::kNn, a, offsets, b, c);
}

int64_t packed_bf16_floats(int64_t n, int64_t k) { return kKernel.packed_floats(n, k); }

void pack_bf16(Stream*, ConstView b, View packed) { products::pack_all(kKernel, b, packed); }

void matmul_packed_bf16(Stream*, ConstView a, ConstView packed, View c) {
  products::matmul(kKernel, Form::kPacked, a, packed, c, false);
}

void grouped_packed_bf16(Stream*, ConstView a, ConstView offsets, ConstView packed, View c) {
  products::grouped(kKernel, Form::kPacked, a, offsets, packed, c);
}

void grouped_stored_bf16(Stream*, ConstView a, ConstView offsets, std::span<const ConstView> b,
                         View c) {
  products::grouped_stored(kKernel, a, offsets, b, c);
}

void grouped_bf16_tn(Stream*, ConstView a, ConstView offsets, ConstView b, View c, uint8_t* live) {
  products::grouped_tn(kKernel, a, offsets, b, c, live);
}

MultiplyAddBurst multiply_add_burst() {
  return {&products::tile_burst, products::kBurstOperations};
}

}  // namespace fathom::amx
