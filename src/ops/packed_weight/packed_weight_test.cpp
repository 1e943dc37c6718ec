#include "ops/packed_weight/packed_weight.h"

#include <gtest/gtest.h>

#include "base/cpu.h"
#include "ops/grouped_linear/grouped_linear.h"
#include "ops/linear/linear.h"
#include "ops/matmul/kernels.h"
#include "ops/simd_testing.h"
#include "runtime/tape.h"

namespace fathom {
namespace {

using testing::identical;
using testing::random_tensor;
using testing::with_one_and_two_threads;

struct Version {
  const char* name;
  KernelTable table;
};

// The reference and the fast versions that this machine can run.
std::vector<Version> versions() {
  std::vector<Version> list = {{"reference", reference_kernels()}};
  const CpuFeatures cpu = detect_cpu();
  const auto add = [&](const char* name, auto nt, auto grouped_nt, auto floats, auto pack,
                       auto packed, auto grouped_packed) {
    KernelTable table = reference_kernels();
    table.matmul_nt = nt;
    table.grouped_nt = grouped_nt;
    table.packed_floats = floats;
    table.pack = pack;
    table.matmul_packed = packed;
    table.grouped_packed = grouped_packed;
    list.push_back({name, table});
  };
  if (cpu.avx2 && cpu.fma) {
    add("avx2", &avx2::matmul_nt, &avx2::grouped_nt, &avx2::packed_floats, &avx2::pack,
        &avx2::matmul_packed, &avx2::grouped_packed);
  }
  if (cpu.avx512) {
    add("avx512", &avx512::matmul_nt, &avx512::grouped_nt, &avx512::packed_floats, &avx512::pack,
        &avx512::matmul_packed, &avx512::grouped_packed);
  }
  if (request_amx()) {
    add("amx", &amx::matmul_bf16_nt, &amx::grouped_bf16_nt, &amx::packed_bf16_floats,
        &amx::pack_bf16, &amx::matmul_packed_bf16, &amx::grouped_packed_bf16);
  }
  return list;
}

struct Size {
  int64_t rows, out, in;
};

// Around every edge of tiles, panels and blocks of k.
const Size kSizes[] = {{1, 1, 1},     {3, 5, 7},     {14, 31, 33},   {15, 32, 64},  {2, 33, 257},
                       {40, 16, 512}, {33, 400, 96}, {64, 129, 770}, {100, 785, 12}};

Parameter weight_of(Pass& pass, const Shape& shape) {
  Parameter weight;
  weight.name = "weight";
  weight.declared = shape;
  weight.value = random_tensor(pass, shape, DType::kF32, 2);
  return weight;
}

TEST(PackedWeight, LinearGivesTheSameBits) {
  for (const Version& version : versions()) {
    for (const Size& s : kSizes) {
      SCOPED_TRACE(concat(version.name, " ", s.rows, "x", s.out, "x", s.in));
      testing::TestPass memory;
      Pass pass{version.table, memory.plain.memory};
      const Tensor x = random_tensor(pass, {s.rows, s.in}, DType::kF32, 1);
      const Parameter weight = weight_of(pass, {s.out, s.in});
      const Tensor natural = linear(pass, x, weight);
      pack_weight(pass, weight);
      ASSERT_TRUE(packed_weight(pass, weight));
      const auto [one, two] = with_one_and_two_threads([&] { return linear(pass, x, weight); });
      EXPECT_TRUE(identical(one, natural));
      EXPECT_TRUE(identical(two, natural));
    }
  }
}

TEST(PackedWeight, GroupedLinearGivesTheSameBits) {
  for (const Version& version : versions()) {
    for (const Size& s : kSizes) {
      SCOPED_TRACE(concat(version.name, " ", s.rows, "x", s.out, "x", s.in));
      testing::TestPass memory;
      Pass pass{version.table, memory.plain.memory};
      const Tensor x = random_tensor(pass, {s.rows, s.in}, DType::kF32, 1);
      const auto end = static_cast<int32_t>(s.rows);
      Tensor offsets = pass.empty({5}, DType::kI32);
      const int32_t bounds[] = {0, end / 3, end / 3, end - end / 4, end};
      std::copy_n(bounds, 5, offsets.mutable_data<int32_t>());
      const Parameter weight = weight_of(pass, {4, s.out, s.in});
      const Tensor natural = grouped_linear(pass, x, offsets, weight);
      pack_weight(pass, weight);
      ASSERT_TRUE(packed_weight(pass, weight));
      const auto [one, two] =
          with_one_and_two_threads([&] { return grouped_linear(pass, x, offsets, weight); });
      EXPECT_TRUE(identical(one, natural));
      EXPECT_TRUE(identical(two, natural));
    }
  }
}

TEST(PackedWeight, IsUsedOnlyWhileItIsTrue) {
  testing::TestPass memory;
  Pass pass = memory.plain;
  Parameter weight = weight_of(pass, {8, 6});
  EXPECT_FALSE(packed_weight(pass, weight));
  pack_weight(pass, weight);
  ASSERT_TRUE(packed_weight(pass, weight));

  Tape tape;
  Pass training = pass;
  training.tape = &tape;
  EXPECT_FALSE(packed_weight(training, weight));

  KernelTable other = pass.kernels;
  other.pack = [](Stream*, ConstView, View) {};
  EXPECT_FALSE(packed_weight(Pass{other, pass.memory}, weight)) << "another order";

  weight.value.mutable_data<float>()[3] = 7;
  EXPECT_FALSE(packed_weight(pass, weight)) << "the weight changed";
  pack_weight(pass, weight);
  ASSERT_TRUE(packed_weight(pass, weight));
  EXPECT_EQ(packed_weight(pass, weight).row<float>(0)[3], 7);

  weight.value = random_tensor(pass, {8, 6}, DType::kF32, 3);
  EXPECT_FALSE(packed_weight(pass, weight)) << "another tensor";
}

TEST(PackedWeight, LeavesOtherTypesAlone) {
  testing::TestPass memory;
  Parameter weight = weight_of(memory.plain, {8, 6});
  weight.value = random_tensor(memory.plain, {8, 6}, DType::kF64, 2);
  pack_weight(memory.plain, weight);
  EXPECT_FALSE(packed_weight(memory.plain, weight));
}

}  // namespace
}  // namespace fathom
