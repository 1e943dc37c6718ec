#include "ops/stored.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "base/cpu.h"
#include "ops/matmul/kernels.h"
#include "ops/simd_testing.h"

namespace fathom {
namespace {

using testing::from_values;
using testing::identical;
using testing::random_slice;
using testing::TestPass;

// A random matrix as a file would hold it, and the same elements as f32.
struct Stored {
  std::vector<uint16_t> halves;
  std::vector<uint8_t> codes;
  std::vector<float> scales;
  std::vector<float> values;
  ConstView view, wide;

  // `offset`: the first element lies so many rows and columns inside a larger matrix of blocks.
  Stored(DType dtype, int64_t rows, int64_t cols, uint64_t seed, int64_t offset) {
    const RandomKey key{seed};
    const auto count = static_cast<size_t>(rows * cols);
    const int64_t blocks = (offset + cols) / BlockScales::kBlock + 1;
    view = {nullptr, dtype, Shape{rows, cols}, cols, {}};
    if (dtype == DType::kF8E4M3) {
      for (size_t i = 0; i < count; ++i)
        codes.push_back(f32_to_f8e4m3(static_cast<float>(20 * key.normal(i))));
      for (int64_t i = 0; i < blocks * ((offset + rows) / BlockScales::kBlock + 1); ++i)
        scales.push_back(0.01f + static_cast<float>(i) * 0.003f);
      view.data = codes.data();
      view.scales = {scales.data(), blocks, offset, offset};
    } else {
      for (size_t i = 0; i < count; ++i) {
        const auto value = static_cast<float>(key.normal(i));
        halves.push_back(dtype == DType::kBF16 ? f32_to_bf16(value) : f32_to_f16(value));
      }
      view.data = halves.data();
    }
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) values.push_back(stored_element(view, r, c));
    }
    wide = {values.data(), DType::kF32, Shape{rows, cols}, cols, {}};
  }
};

struct Version {
  const char* name;
  decltype(KernelTable::matmul_nt) nt, nn;
  decltype(KernelTable::grouped_nt) grouped_nt;
  decltype(KernelTable::grouped_stored) grouped_stored;
};

std::vector<Version> versions() {
  const CpuFeatures cpu = detect_cpu();
  std::vector<Version> all = {{"reference", &reference::matmul_nt, &reference::matmul_nn,
                               &reference::grouped_nt, &reference::grouped_stored}};
  if (cpu.avx2 && cpu.fma)
    all.push_back(
        {"avx2", &avx2::matmul_nt, &avx2::matmul_nn, &avx2::grouped_nt, &avx2::grouped_stored});
  if (cpu.avx512) {
    all.push_back({"avx512", &avx512::matmul_nt, &avx512::matmul_nn, &avx512::grouped_nt,
                   &avx512::grouped_stored});
  }
  if (request_amx()) {
    all.push_back({"amx", &amx::matmul_bf16_nt, &amx::matmul_bf16_nn, &amx::grouped_bf16_nt,
                   &amx::grouped_stored_bf16});
  }
  return all;
}

constexpr DType kStoredTypes[] = {DType::kBF16, DType::kF16, DType::kF8E4M3};

TEST(Stored, ElementsOfFp8AreCodesTimesTheScaleOfTheirBlock) {
  const std::vector<uint8_t> codes(130 * 129, 0x38);  // 1
  const float scales[] = {1, 2, 3, 4};
  const ConstView x{codes.data(), DType::kF8E4M3, Shape{130, 129}, 129, {scales, 2, 0, 0}};
  EXPECT_EQ(stored_element(x, 127, 127), 1);
  EXPECT_EQ(stored_element(x, 127, 128), 2);
  EXPECT_EQ(stored_element(x, 128, 0), 3);
  EXPECT_EQ(stored_element(x.rows_at(120, 10).columns(100, 29), 8, 28), 4);
}

TEST(Stored, ProductsEqualThoseOfTheSameValuesInF32BitForBit) {
  for (const Version& version : versions()) {
    for (const DType dtype : kStoredTypes) {
      for (const auto& [m, n, k] : {std::tuple<int64_t, int64_t, int64_t>{1, 1, 1},
                                    {1, 40, 600},
                                    {3, 17, 130},
                                    {14, 64, 512},
                                    {1, 208, 400},
                                    {4, 64, 90},
                                    {2, 80, 333},
                                    {1, 32, 64},
                                    {70, 50, 300},
                                    {33, 400, 700}}) {
        SCOPED_TRACE(concat(version.name, " ", info(dtype).name, " ", m, "x", n, "x", k));
        TestPass pass;
        const Tensor a = random_slice(pass.plain, m, k, DType::kF32, 1);
        Tensor got = pass.plain.empty({m, n}, DType::kF32);
        Tensor want = pass.plain.empty({m, n}, DType::kF32);
        for (const int64_t offset : {0, 24, 32}) {
          const Stored nt(dtype, n, k, 2, offset);
          version.nt(nullptr, a.read(), nt.view, got.write(), false);
          version.nt(nullptr, a.read(), nt.wide, want.write(), false);
          EXPECT_TRUE(identical(got, want)) << "nt from " << offset;
          version.nt(nullptr, a.read(), nt.view, got.write(), true);
          version.nt(nullptr, a.read(), nt.wide, want.write(), true);
          EXPECT_TRUE(identical(got, want)) << "nt added, from " << offset;
        }
        const Stored nn(dtype, k, n, 3, 120);
        version.nn(nullptr, a.read(), nn.view, got.write(), false);
        version.nn(nullptr, a.read(), nn.wide, want.write(), false);
        EXPECT_TRUE(identical(got, want)) << "nn";
      }
    }
  }
}

TEST(Stored, GroupsMeetMatricesThatLieApart) {
  constexpr int64_t kN = 40, kK = 200;
  for (const Version& version : versions()) {
    for (const DType dtype : kStoredTypes) {
      TestPass pass;
      const Tensor offsets = from_values(pass.plain, {4}, DType::kI32, {0, 3, 3, 20});
      const Tensor a = random_slice(pass.plain, 20, kK, DType::kF32, 1);
      std::vector<Stored> matrices;
      matrices.reserve(3);
      std::vector<ConstView> views;
      std::vector<float> together;
      for (uint64_t g = 0; g < 3; ++g) {
        matrices.emplace_back(dtype, kN, kK, 10 + g, 0);
        views.push_back(matrices.back().view);
        together.insert(together.end(), matrices.back().values.begin(),
                        matrices.back().values.end());
      }
      Tensor got = pass.plain.empty({20, kN}, DType::kF32);
      Tensor want = pass.plain.empty({20, kN}, DType::kF32);
      version.grouped_stored(nullptr, a.read(), offsets.read(), views, got.write());
      version.grouped_nt(nullptr, a.read(), offsets.read(),
                         {together.data(), DType::kF32, Shape{3, kN, kK}, kK, {}}, want.write());
      EXPECT_TRUE(identical(got, want)) << version.name << " " << info(dtype).name;
    }
  }
}

TEST(Stored, CodesThatAreNoNumberMakeTheProductNone) {
  for (const Version& version : versions()) {
    for (const int64_t rows : {int64_t{1}, int64_t{40}}) {
      for (const int64_t place : {int64_t{3 * 70 + 40}, int64_t{19 * 70}, int64_t{30 * 70 + 69}}) {
        TestPass pass;
        Stored b(DType::kF8E4M3, 40, 70, 2, 0);
        b.codes[static_cast<size_t>(place)] = 0xff;
        const Tensor a = random_slice(pass.plain, rows, 70, DType::kF32, 1);
        Tensor c = pass.plain.empty({rows, 40}, DType::kF32);
        version.nt(nullptr, a.read(), b.view, c.write(), false);
        for (int64_t i = 0; i < 40; ++i) {
          EXPECT_EQ(std::isnan(c.data<float>()[i]), i == place / 70)
              << version.name << " column " << i;
        }
      }
    }
  }
}

// Every code there is, at every place of a vector.
TEST(Stored, AllCodesAreWidenedExactly) {
  for (const Version& version : versions()) {
    for (const int64_t rows : {int64_t{1}, int64_t{40}}) {
      TestPass pass;
      Stored b(DType::kF8E4M3, 256, 256, 2, 0);
      for (int64_t r = 0; r < 256; ++r) {
        for (int64_t c = 0; c < 256; ++c) {
          auto code = static_cast<uint8_t>(r + c);
          if ((code & 0x7f) == 0x7f) code = 0;
          b.codes[static_cast<size_t>(r * 256 + c)] = code;
        }
      }
      for (int64_t r = 0; r < 256; ++r) {
        for (int64_t c = 0; c < 256; ++c)
          b.values[static_cast<size_t>(r * 256 + c)] = stored_element(b.view, r, c);
      }
      const Tensor a = random_slice(pass.plain, rows, 256, DType::kF32, 1);
      Tensor got = pass.plain.empty({rows, 256}, DType::kF32);
      Tensor want = pass.plain.empty({rows, 256}, DType::kF32);
      version.nt(nullptr, a.read(), b.view, got.write(), false);
      version.nt(nullptr, a.read(), b.wide, want.write(), false);
      EXPECT_TRUE(identical(got, want)) << version.name << " " << rows;
    }
  }
}

}  // namespace
}  // namespace fathom
