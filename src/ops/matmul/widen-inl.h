// Rows of stored weights as f32, before they are packed like any others.
//
// Included inside a `#pragma GCC target` region. `W` widens up to kCount elements:
//   bf16, f16(from, count, to); f8(codes, count, scale, to)

namespace fathom::products {
namespace {

// f8 elements [begin, end) of a row, all in one block of scales.
template <class W>
void widen_codes(const Operand& row, int64_t begin, int64_t end, float* to) {
  const auto* codes = static_cast<const uint8_t*>(row.data);
  const float scale = row.scales.of(0, begin);
  for (int64_t i = begin; i < end; i += W::kCount)
    W::f8(codes + i, std::min(W::kCount, end - i), scale, to + i);
}

template <class W>
void widen_row(const Operand& row, int64_t count, float* to) {
  if (row.dtype == DType::kF8E4M3) {
    constexpr int64_t kBlock = BlockScales::kBlock;
    for (int64_t i = 0; i < count;) {
      const int64_t end = std::min(count, i + kBlock - (row.scales.column + i) % kBlock);
      widen_codes<W>(row, i, end, to);
      i = end;
    }
    return;
  }
  const uint16_t* from = row.halves();
  for (int64_t i = 0; i < count; i += W::kCount) {
    const int64_t some = std::min(W::kCount, count - i);
    row.dtype == DType::kBF16 ? W::bf16(from + i, some, to + i) : W::f16(from + i, some, to + i);
  }
}

// The first `rows` rows of `count` elements; rows of `to` are `to_step` apart.
template <class W>
void widen_rows(const Operand& from, int64_t rows, int64_t count, float* to, int64_t to_step) {
  for (int64_t r = 0; r < rows; ++r) widen_row<W>(from.at(r, 0), count, to + r * to_step);
}

}  // namespace
}  // namespace fathom::products
