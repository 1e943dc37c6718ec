// Rows of stored weights as f32, before they are packed like any others.
//
// Included inside a `#pragma GCC target` region. `W` widens any number of elements:
//   bf16, f16(from, count, to); f8(codes, count, scale, to)

namespace fathom::products {
namespace {

template <class W>
void widen_row(const Operand& row, int64_t count, float* to) {
  if (row.dtype == DType::kBF16) return W::bf16(row.halves(), count, to);
  if (row.dtype == DType::kF16) return W::f16(row.halves(), count, to);
  const auto* codes = static_cast<const uint8_t*>(row.data);
  constexpr int64_t kBlock = BlockScales::kBlock;
  for (int64_t i = 0; i < count;) {
    const int64_t end = std::min(count, i + kBlock - (row.scales.column + i) % kBlock);
    W::f8(codes + i, end - i, row.scales.of(0, i), to + i);
    i = end;
  }
}

// The first `rows` rows of `count` elements; rows of `to` are `to_step` apart.
template <class W>
void widen_rows(const Operand& from, int64_t rows, int64_t count, float* to, int64_t to_step) {
  for (int64_t r = 0; r < rows; ++r) widen_row<W>(from.at(r, 0), count, to + r * to_step);
}

}  // namespace
}  // namespace fathom::products
