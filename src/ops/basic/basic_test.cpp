#include <gtest/gtest.h>

#include "ops/basic/kernels.h"
#include "ops/simd_testing.h"

namespace fathom {
namespace {

using testing::from_values;
using testing::identical;
using testing::random_slice;
using testing::random_tensor;
using testing::TestPass;
using testing::to_doubles;
using Values = std::vector<double>;

struct Kernels {
  decltype(&reference::fill_zero) fill_zero;
  decltype(&reference::copy) copy, accumulate;
  decltype(&reference::gather_rows) gather_rows, scatter_rows, scatter_add_rows;
};

constexpr Kernels kPlain = {&reference::fill_zero,    &reference::copy,
                            &reference::accumulate,   &reference::gather_rows,
                            &reference::scatter_rows, &reference::scatter_add_rows};
constexpr Kernels kFast = {&cpu::fill_zero,   &cpu::copy,         &cpu::accumulate,
                           &cpu::gather_rows, &cpu::scatter_rows, &cpu::scatter_add_rows};

TestPass memory() { return TestPass(KernelTable{}); }

struct Case {
  int64_t rows, cols;
  DType dtype;
};

constexpr Case kCases[] = {{0, 4, DType::kF32},    {1, 1, DType::kF32},     {3, 5, DType::kF32},
                           {70, 300, DType::kF32}, {1000, 33, DType::kF32}, {3, 70, DType::kF64},
                           {40, 7, DType::kI32},   {5, 9, DType::kI64}};

// What lies between the rows of a slice; kernels leave it alone.
struct Framed {
  Tensor whole, slice;
};

Framed framed(Pass& pass, const Case& c, bool slice, uint64_t seed) {
  Framed f{random_tensor(pass, {c.rows, c.cols + (slice ? 4 : 0)}, c.dtype, seed, 100), Tensor()};
  f.slice = f.whole.columns(slice ? 3 : 0, c.cols);
  return f;
}

TEST(Basic, ZeroAndCopyTouchTheirElementsAlone) {
  auto pass = memory();
  for (const Kernels& kernels : {kPlain, kFast}) {
    for (const Case& c : kCases) {
      for (bool slice : {false, true}) {
        SCOPED_TRACE(concat(c.rows, "x", c.cols, " ", info(c.dtype).name, slice ? " slice" : ""));
        Framed y = framed(pass.plain, c, slice, 1);
        const Framed x = framed(pass.plain, c, !slice, 2), old = framed(pass.plain, c, slice, 1);
        kernels.copy(nullptr, x.slice.read(), y.slice.write());
        EXPECT_TRUE(identical(y.slice, x.slice));
        kernels.fill_zero(nullptr, y.slice.write());
        EXPECT_EQ(to_doubles(y.slice), Values(static_cast<size_t>(c.rows * c.cols), 0.0));
        if (!slice) continue;
        EXPECT_TRUE(identical(y.whole.columns(0, 3), old.whole.columns(0, 3)));
        EXPECT_TRUE(identical(y.whole.columns(c.cols + 3, 1), old.whole.columns(c.cols + 3, 1)));
      }
    }
  }
}

TEST(Basic, FastAccumulateEqualsTheReferenceToTheBit) {
  testing::for_each_simd_target([] {
    auto pass = memory();
    for (const Case& c : kCases) {
      if (c.dtype != DType::kF32 && c.dtype != DType::kF64) continue;
      for (bool slice : {false, true}) {
        const Framed x = framed(pass.plain, c, !slice, 2), old = framed(pass.plain, c, slice, 1);
        Framed want = framed(pass.plain, c, slice, 1), got = framed(pass.plain, c, slice, 1);
        kPlain.accumulate(nullptr, x.slice.read(), want.slice.write());
        kFast.accumulate(nullptr, x.slice.read(), got.slice.write());
        EXPECT_TRUE(identical(got.whole, want.whole)) << c.rows << "x" << c.cols;
        EXPECT_EQ(identical(got.slice, old.slice), c.rows == 0);
      }
    }
  });
}

TEST(Basic, RowsMoveToTheirIndices) {
  auto pass = memory();
  const Tensor index = from_values(pass.plain, {2}, DType::kI32, {3, 1});
  for (const Kernels& kernels : {kPlain, kFast}) {
    const Tensor x = from_values(pass.plain, {4, 2}, DType::kI32, {0, 1, 10, 11, 20, 21, 30, 31});
    Tensor y = pass.plain.empty({2, 2}, DType::kI32);
    kernels.gather_rows(nullptr, x.read(), index.read(), y.write());
    EXPECT_EQ(to_doubles(y), (Values{30, 31, 10, 11}));
    Tensor back = from_values(pass.plain, {4, 2}, DType::kI32, {5, 5, 5, 5, 5, 5, 5, 5});
    kernels.scatter_rows(nullptr, y.read(), index.read(), back.write());
    EXPECT_EQ(to_doubles(back), (Values{5, 5, 10, 11, 5, 5, 30, 31}));
  }
}

TEST(Basic, FastRowKernelsEqualTheReferenceToTheBit) {
  testing::for_each_simd_target([] {
    auto pass = memory();
    for (int64_t cols : {1, 15, 16, 40, 300, 1100}) {
      const int64_t rows = 90, selected = 61;
      Values places;  // distinct, in no order
      for (int64_t i = 0; i < selected; ++i) places.push_back(static_cast<double>(i * 37 % rows));
      const Tensor index = from_values(pass.plain, {selected}, DType::kI32, places);
      const Tensor x = random_slice(pass.plain, rows, cols, DType::kF32, 1);
      const Tensor dy = random_slice(pass.plain, selected, cols, DType::kF32, 2);
      std::vector<Tensor> results[2];
      for (int i = 0; i < 2; ++i) {
        const Kernels& kernels = i == 0 ? kPlain : kFast;
        Tensor y = random_slice(pass.plain, selected, cols, DType::kF32, 3);
        Tensor moved = random_slice(pass.plain, rows, cols, DType::kF32, 4);
        Tensor sum = random_slice(pass.plain, rows, cols, DType::kF32, 5);
        kernels.gather_rows(nullptr, x.read(), index.read(), y.write());
        kernels.scatter_rows(nullptr, dy.read(), index.read(), moved.write());
        kernels.scatter_add_rows(nullptr, dy.read(), index.read(), sum.write());
        results[i] = {y, moved, sum};
      }
      for (size_t i = 0; i < 3; ++i) {
        EXPECT_TRUE(identical(results[0][i], results[1][i])) << cols << " columns, kernel " << i;
      }
    }
  });
}

TEST(Basic, ScatterAddTakesRepeatedIndicesInRowOrder) {
  auto pass = memory();
  const Tensor index = from_values(pass.plain, {3}, DType::kI32, {1, 1, 1});
  const Tensor dy = from_values(pass.plain, {3, 1}, DType::kF32, {1e8, 1, -1e8});
  for (const Kernels& kernels : {kPlain, kFast}) {
    Tensor dx = from_values(pass.plain, {2, 1}, DType::kF32, {7, 0});
    kernels.scatter_add_rows(nullptr, dy.read(), index.read(), dx.write());
    EXPECT_EQ(to_doubles(dx), (Values{7, 0}));  // 1e8 + 1 rounds to 1e8 in f32
  }
}

}  // namespace
}  // namespace fathom
