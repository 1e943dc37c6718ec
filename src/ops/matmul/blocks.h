// What the fast f32 products share: how a product is cut into blocks, one per thread, and where a
// block finds its operands.
//
// An instruction set supplies one function that computes a block; these functions call it from the
// threads.
#pragma once

#include "ops/kernel_table.h"

namespace fathom::products {

// Which operands are transposed, as in the names of the kernels; kPacked is kNt with its b packed.
enum class Form { kNt, kNn, kTn, kPacked };

// An operand of a product, row-major: f32; a b as stored (ops/stored.h); or bf16 on a kernel that
// rounds to it.
struct Operand {
  const void* data = nullptr;
  int64_t step = 0;  // elements between the beginnings of two rows
  DType dtype = DType::kF32;
  BlockScales scales = {};

  Operand() = default;
  Operand(const void* first, int64_t row_step, DType type, const BlockScales& factors)
      : data(first), step(row_step), dtype(type), scales(factors) {}
  // The rows of a view from `row` on.
  Operand(const ConstView& view, int64_t row)
      : Operand(Operand(view.data, view.row_stride, view.dtype, view.scales).at(row, 0)) {}

  bool f32() const { return dtype == DType::kF32; }
  // The part that begins at this row and column.
  Operand at(int64_t row, int64_t column) const {
    const int64_t bytes = byte_size(dtype, row * step + column);
    return {static_cast<const char*>(data) + bytes, step, dtype, scales.at(row, column)};
  }
  const float* floats() const { return static_cast<const float*>(data); }
  const uint16_t* halves() const { return static_cast<const uint16_t*>(data); }
};

// c [m, n] = or += a · b, all row-major; c is f32.
//   kNt: a [m, k], b [n, k]     kNn: a [m, k], b [k, n]     kTn: a [k, m], b [k, n]
//   kPacked: a [m, k], b [panels][panel_floats(k)], a row of b is a panel
struct Block {
  Form form = Form::kNt;
  Operand a, b;
  float* c = nullptr;
  int64_t c_step = 0;
  int64_t m = 0, n = 0, k = 0;
  bool accumulate = false;
};

// Computes one block on the calling thread. Blocks are best cut at multiples of a tile.
struct BlockKernel {
  void (*multiply)(const Block&) = nullptr;
  int64_t tile_rows = 0, tile_columns = 0;
  // What bringing a panel (tile_columns of b) into place costs, in rows of a multiplied with it,
  int64_t panel_cost = 0;
  // and what bringing a row of a into place costs, in panels multiplied with it.
  int64_t row_cost = 0;
  // One packed panel: the floats it takes, and packing it from `columns` rows of b [n, k].
  int64_t (*panel_floats)(int64_t k) = nullptr;
  void (*pack_panel)(const float* b, int64_t step, int64_t columns, int64_t k, float* to) = nullptr;

  int64_t panels(int64_t columns) const { return (columns + tile_columns - 1) / tile_columns; }
  int64_t packed_floats(int64_t n, int64_t k) const { return panels(n) * panel_floats(k); }
  Operand packed_operand(const float* panels, int64_t k) const {
    return {panels, panel_floats(k), DType::kF32, {}};
  }
};

void matmul(const BlockKernel& kernel, Form form, ConstView a, ConstView b, View c,
            bool accumulate);
// b [n, k] or [groups, n, k] into panels, packed [groups, packed_floats(n, k)].
void pack_all(const BlockKernel& kernel, ConstView b, View packed);
// c_g = a_g · b[g] for the rows of each group; kNt, kNn or kPacked.
void grouped(const BlockKernel& kernel, Form form, ConstView a, ConstView offsets, ConstView b,
             View c);
// c_g = a_g · b[g]ᵀ for the rows of each group, the matrices apart.
void grouped_stored(const BlockKernel& kernel, ConstView a, ConstView offsets,
                    std::span<const ConstView> b, View c);
// c[g] = or += a_gᵀ · b_g.
void grouped_tn(const BlockKernel& kernel, ConstView a, ConstView offsets, ConstView b, View c,
                uint8_t* live);

// Memory of the calling thread for packed operands, 64-byte aligned, valid until its next call.
float* scratch(int64_t floats);

}  // namespace fathom::products
