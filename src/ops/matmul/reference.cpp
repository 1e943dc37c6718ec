#include <algorithm>
#include <cmath>
#include <limits>

#include "base/float_bits.h"
#include "ops/matmul/kernels.h"
#include "ops/stored.h"

namespace fathom::reference {
namespace {

// Elements (row, column) of a matrix or of its transpose.
template <class T>
struct Matrix {
  const T* data;
  int64_t row_step, column_step;
  T operator()(int64_t row, int64_t column) const {
    return data[row * row_step + column * column_step];
  }
};

template <class T>
Matrix<T> plain(const ConstView& x) {
  return {x.row<T>(0), x.row_stride, 1};
}

template <class T>
Matrix<T> transposed(const ConstView& x) {
  return {x.row<T>(0), 1, x.row_stride};
}

// c_ij = or += sum over p of a_ip b_pj
template <class T>
void multiply(const Matrix<T>& a, const Matrix<T>& b, int64_t k, View c, bool accumulate) {
  for (int64_t i = 0; i < c.rows(); ++i) {
    for (int64_t j = 0; j < c.cols(); ++j) {
      T sum = accumulate ? c.row<T>(i)[j] : T{0};
      for (int64_t p = 0; p < k; ++p) sum = std::fma(a(i, p), b(p, j), sum);
      c.row<T>(i)[j] = sum;
    }
  }
}

float flushed(float x) {
  return std::abs(x) < std::numeric_limits<float>::min() ? std::copysign(0.0f, x) : x;
}

float rounded(float x) { return flushed(bf16_to_f32(f32_to_bf16(x))); }

void multiply_bf16(const Matrix<float>& a, const Matrix<float>& b, int64_t k, View c,
                   bool accumulate) {
  for (int64_t i = 0; i < c.rows(); ++i) {
    for (int64_t j = 0; j < c.cols(); ++j) {
      float sum = accumulate ? flushed(c.row<float>(i)[j]) : 0.0f;
      for (int64_t block = 0; block < k; block += 32) {
        float part[2] = {};
        for (int64_t p = block; p < std::min(k, block + 32); ++p)
          part[p % 2] = flushed(std::fma(rounded(a(i, p)), rounded(b(p, j)), part[p % 2]));
        sum = flushed(sum + flushed(part[0] + part[1]));
      }
      c.row<float>(i)[j] = sum;
    }
  }
}

// Calls fn(group, first row, rows) for each group that has rows.
template <class Fn>
void for_each_group(const ConstView& offsets, Fn&& fn) {
  const int32_t* begin = offsets.row<int32_t>(0);
  for (int64_t g = 0; g + 1 < offsets.shape.elements(); ++g) {
    if (begin[g + 1] > begin[g]) fn(g, int64_t{begin[g]}, int64_t{begin[g + 1]} - begin[g]);
  }
}

// Packed without a change: the plain versions read b in its natural layout.
ConstView unpacked(ConstView packed, int64_t n, int64_t k) {
  return {packed.data, packed.dtype, Shape{packed.rows(), n, k}, k};
}

}  // namespace

int64_t packed_floats(int64_t n, int64_t k) { return n * k; }

void pack(Stream*, ConstView b, View packed) {
  const int64_t k = b.cols();
  for (int64_t i = 0; i < b.rows(); ++i) {
    std::copy_n(b.row<float>(i), k, packed.row<float>(0) + i * k);
  }
}

void matmul_packed(Stream* stream, ConstView a, ConstView packed, View c) {
  matmul_nt(stream, a, unpacked(packed, c.cols(), a.cols()), c, false);
}

void grouped_packed(Stream* stream, ConstView a, ConstView offsets, ConstView packed, View c) {
  grouped_nt(stream, a, offsets, unpacked(packed, c.cols(), a.cols()), c);
}

void matmul_packed_bf16(Stream* stream, ConstView a, ConstView packed, View c) {
  matmul_bf16_nt(stream, a, unpacked(packed, c.cols(), a.cols()), c, false);
}

void grouped_packed_bf16(Stream* stream, ConstView a, ConstView offsets, ConstView packed, View c) {
  grouped_bf16_nt(stream, a, offsets, unpacked(packed, c.cols(), a.cols()), c);
}

void matmul_nt(Stream*, ConstView a, ConstView b, View c, bool accumulate) {
  std::vector<float> memory;
  b = widened(b, memory);
  dispatch_float(a.dtype, "matmul_nt", [&](auto zero) {
    using T = decltype(zero);
    multiply(plain<T>(a), transposed<T>(b), a.cols(), c, accumulate);
  });
}

void matmul_nn(Stream*, ConstView a, ConstView b, View c, bool accumulate) {
  std::vector<float> memory;
  b = widened(b, memory);
  dispatch_float(a.dtype, "matmul_nn", [&](auto zero) {
    using T = decltype(zero);
    multiply(plain<T>(a), plain<T>(b), a.cols(), c, accumulate);
  });
}

void matmul_tn(Stream*, ConstView a, ConstView b, View c, bool accumulate) {
  dispatch_float(a.dtype, "matmul_tn", [&](auto zero) {
    using T = decltype(zero);
    multiply(transposed<T>(a), plain<T>(b), a.rows(), c, accumulate);
  });
}

namespace {

using Matmul = void (*)(Stream*, ConstView a, ConstView b, View c, bool accumulate);

// A product per group: of its rows and its matrix of b (forward and input gradient) …
void multiply_rows(Matmul matmul, const ConstView& a, const ConstView& offsets, const ConstView& b,
                   const View& c) {
  const int64_t matrix_rows = b.shape[1];
  for_each_group(offsets, [&](int64_t group, int64_t begin, int64_t rows) {
    matmul(nullptr, a.rows_at(begin, rows), b.rows_at(group * matrix_rows, matrix_rows),
           c.rows_at(begin, rows), false);
  });
}

// … or of its rows of both (weight gradient).
void multiply_matrices(Matmul matmul, const ConstView& a, const ConstView& offsets,
                       const ConstView& b, const View& c, uint8_t* live) {
  const int64_t m = c.shape[1];
  for_each_group(offsets, [&](int64_t group, int64_t begin, int64_t rows) {
    matmul(nullptr, a.rows_at(begin, rows), b.rows_at(begin, rows), c.rows_at(group * m, m),
           live[group] != 0);
    live[group] = 1;
  });
}

}  // namespace

void grouped_nt(Stream*, ConstView a, ConstView offsets, ConstView b, View c) {
  multiply_rows(&matmul_nt, a, offsets, b, c);
}

namespace {

// As multiply_rows, each group with a matrix of its own.
void multiply_stored(Matmul matmul, const ConstView& a, const ConstView& offsets,
                     std::span<const ConstView> b, const View& c) {
  for_each_group(offsets, [&](int64_t group, int64_t begin, int64_t rows) {
    matmul(nullptr, a.rows_at(begin, rows), b[static_cast<size_t>(group)], c.rows_at(begin, rows),
           false);
  });
}

}  // namespace

void grouped_stored(Stream*, ConstView a, ConstView offsets, std::span<const ConstView> b, View c) {
  multiply_stored(&matmul_nt, a, offsets, b, c);
}

void grouped_stored_bf16(Stream*, ConstView a, ConstView offsets, std::span<const ConstView> b,
                         View c) {
  multiply_stored(&matmul_bf16_nt, a, offsets, b, c);
}

void grouped_nn(Stream*, ConstView a, ConstView offsets, ConstView b, View c) {
  multiply_rows(&matmul_nn, a, offsets, b, c);
}

void grouped_tn(Stream*, ConstView a, ConstView offsets, ConstView b, View c, uint8_t* live) {
  multiply_matrices(&matmul_tn, a, offsets, b, c, live);
}

void matmul_bf16_nt(Stream* stream, ConstView a, ConstView b, View c, bool accumulate) {
  if (c.dtype == DType::kF64) return matmul_nt(stream, a, b, c, accumulate);
  std::vector<float> memory;
  multiply_bf16(plain<float>(a), transposed<float>(widened(b, memory)), a.cols(), c, accumulate);
}

void matmul_bf16_nn(Stream* stream, ConstView a, ConstView b, View c, bool accumulate) {
  if (c.dtype == DType::kF64) return matmul_nn(stream, a, b, c, accumulate);
  std::vector<float> memory;
  multiply_bf16(plain<float>(a), plain<float>(widened(b, memory)), a.cols(), c, accumulate);
}

void matmul_bf16_tn(Stream* stream, ConstView a, ConstView b, View c, bool accumulate) {
  if (c.dtype == DType::kF64) return matmul_tn(stream, a, b, c, accumulate);
  multiply_bf16(transposed<float>(a), plain<float>(b), a.rows(), c, accumulate);
}

void grouped_bf16_nt(Stream*, ConstView a, ConstView offsets, ConstView b, View c) {
  multiply_rows(&matmul_bf16_nt, a, offsets, b, c);
}

void grouped_bf16_nn(Stream*, ConstView a, ConstView offsets, ConstView b, View c) {
  multiply_rows(&matmul_bf16_nn, a, offsets, b, c);
}

void grouped_bf16_tn(Stream*, ConstView a, ConstView offsets, ConstView b, View c, uint8_t* live) {
  multiply_matrices(&matmul_bf16_tn, a, offsets, b, c, live);
}

void add_bias(Stream*, ConstView b, View y) {
  dispatch_float(y.dtype, "add_bias", [&](auto zero) {
    using T = decltype(zero);
    for (int64_t r = 0; r < y.rows(); ++r) {
      for (int64_t i = 0; i < y.cols(); ++i) y.row<T>(r)[i] += b.row<T>(0)[i];
    }
  });
}

void bias_backward(Stream*, ConstView dy, View db, bool accumulate) {
  dispatch_float(dy.dtype, "bias_backward", [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < dy.cols(); ++i) {
      double sum = accumulate ? static_cast<double>(db.row<T>(0)[i]) : 0.0;
      for (int64_t r = 0; r < dy.rows(); ++r) sum += static_cast<double>(dy.row<T>(r)[i]);
      db.row<T>(0)[i] = static_cast<T>(sum);
    }
  });
}

}  // namespace fathom::reference
