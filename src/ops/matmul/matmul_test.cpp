#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <string_view>

#include "base/cpu.h"
#include "base/float_bits.h"
#include "ops/matmul/kernels.h"
#include "ops/simd_testing.h"

namespace fathom {
namespace {

using testing::difference;
using testing::from_values;
using testing::identical;
using testing::random_slice;
using testing::random_tensor;
using testing::sum_tolerance;
using testing::TestPass;
using testing::to_doubles;
using testing::with_one_and_two_threads;

using Matmul = decltype(KernelTable::matmul_nt);
using GroupedMatmul = decltype(KernelTable::grouped_nt);

// One set of products.
struct Version {
  const char* name;
  Matmul nt, nn, tn;
  GroupedMatmul grouped_nt, grouped_nn;
  decltype(KernelTable::grouped_tn) grouped_tn;
};

const Version kReference = {"reference",           &reference::matmul_nt,  &reference::matmul_nn,
                            &reference::matmul_tn, &reference::grouped_nt, &reference::grouped_nn,
                            &reference::grouped_tn};

const Version kReferenceBf16 = {
    "reference bf16",           &reference::matmul_bf16_nt,  &reference::matmul_bf16_nn,
    &reference::matmul_bf16_tn, &reference::grouped_bf16_nt, &reference::grouped_bf16_nn,
    &reference::grouped_bf16_tn};

// The specification of a fast version.
const Version& reference_of(const Version& version) {
  return std::string_view(version.name) == "amx" ? kReferenceBf16 : kReference;
}

// The fast versions that this machine can run.
std::vector<Version> fast_versions() {
  const CpuFeatures cpu = detect_cpu();
  std::vector<Version> versions;
  if (cpu.avx2 && cpu.fma) {
    versions.push_back({"avx2", &avx2::matmul_nt, &avx2::matmul_nn, &avx2::matmul_tn,
                        &avx2::grouped_nt, &avx2::grouped_nn, &avx2::grouped_tn});
  }
  if (cpu.avx512) {
    versions.push_back({"avx512", &avx512::matmul_nt, &avx512::matmul_nn, &avx512::matmul_tn,
                        &avx512::grouped_nt, &avx512::grouped_nn, &avx512::grouped_tn});
  }
  if (request_amx()) {
    versions.push_back({"amx", &amx::matmul_bf16_nt, &amx::matmul_bf16_nn, &amx::matmul_bf16_tn,
                        &amx::grouped_bf16_nt, &amx::grouped_bf16_nn, &amx::grouped_bf16_tn});
  }
  return versions;
}

enum class Form { kNt, kNn, kTn };
constexpr Form kForms[] = {Form::kNt, Form::kNn, Form::kTn};

Matmul kernel(const Version& version, Form form) {
  return form == Form::kNt ? version.nt : form == Form::kNn ? version.nn : version.tn;
}

struct Size {
  int64_t m, n, k;
};

std::ostream& operator<<(std::ostream& out, const Size& s) {
  return out << s.m << "x" << s.n << "x" << s.k;
}

// Around every edge: vector, tile, strip, panel, packing and k-block sizes of both instruction
// sets.
const Size kSizes[] = {{1, 1, 1},      {3, 5, 7},      {1, 40, 33},   {6, 16, 256},  {7, 17, 257},
                       {8, 70, 66},    {12, 31, 5},    {13, 15, 64},  {14, 32, 256}, {15, 33, 257},
                       {29, 47, 300},  {57, 129, 515}, {90, 400, 64}, {31, 17, 770}, {2, 700, 3},
                       {100, 193, 12}, {43, 96, 48},   {1, 8, 1000},  {64, 64, 1}};

struct Operands {
  Tensor a, b, c;
};

// `sliced`: all three are column slices of wider tensors.
Operands operands(Pass& pass, Form form, const Size& s, DType dtype, bool sliced) {
  const auto make = [&](int64_t rows, int64_t cols, uint64_t seed) {
    return sliced ? random_slice(pass, rows, cols, dtype, seed)
                  : random_tensor(pass, {rows, cols}, dtype, seed);
  };
  const bool a_down = form == Form::kTn, b_down = form == Form::kNt;
  return {make(a_down ? s.k : s.m, a_down ? s.m : s.k, 1),
          make(b_down ? s.n : s.k, b_down ? s.k : s.n, 2), make(s.m, s.n, 3)};
}

Tensor multiply(const Version& version, Form form, Operands x, bool accumulate) {
  kernel(version, form)(nullptr, x.a.read(), x.b.read(), x.c.write(), accumulate);
  return x.c;
}

TEST(Matmul, GivesTheProductsOfSmallMatrices) {
  std::vector<Version> versions = fast_versions();
  versions.push_back(kReference);
  for (const Version& version : versions) {
    TestPass pass;
    const Tensor x = from_values(pass.plain, {2, 2}, DType::kF32, {1, 2, 3, 4});
    const Tensor y = from_values(pass.plain, {2, 2}, DType::kF32, {5, 6, 7, 8});
    Tensor c = from_values(pass.plain, {2, 2}, DType::kF32, {100, 200, 300, 400});
    version.nn(nullptr, x.read(), y.read(), c.write(), false);
    EXPECT_EQ(to_doubles(c), std::vector<double>({19, 22, 43, 50})) << version.name;
    version.nt(nullptr, x.read(), y.read(), c.write(), false);
    EXPECT_EQ(to_doubles(c), std::vector<double>({17, 23, 39, 53})) << version.name;
    version.tn(nullptr, x.read(), y.read(), c.write(), true);
    EXPECT_EQ(to_doubles(c), std::vector<double>({17 + 26, 23 + 30, 39 + 38, 53 + 44}))
        << version.name;
  }
}

TEST(Matmul, FastVersionsEqualTheReferenceBitForBit) {
  for (const Version& version : fast_versions()) {
    for (const Form form : kForms) {
      for (const Size& s : kSizes) {
        for (const bool sliced : {false, true}) {
          for (const bool accumulate : {false, true}) {
            TestPass pass;
            const auto fresh = [&] { return operands(pass.plain, form, s, DType::kF32, sliced); };
            EXPECT_TRUE(identical(multiply(version, form, fresh(), accumulate),
                                  multiply(reference_of(version), form, fresh(), accumulate)))
                << version.name << ", form " << static_cast<int>(form) << ", " << s
                << (sliced ? ", sliced" : "") << (accumulate ? ", accumulating" : "");
          }
        }
      }
    }
  }
}

TEST(Matmul, SinglePrecisionStaysNearDouble) {
  TestPass pass;
  const Size s{5, 6, 900};
  for (const Form form : kForms) {
    Operands narrow = operands(pass.plain, form, s, DType::kF32, false);
    Operands wide;
    for (const auto& [from, to] : {std::pair(&narrow.a, &wide.a), std::pair(&narrow.b, &wide.b),
                                   std::pair(&narrow.c, &wide.c)})
      *to = from_values(pass.plain, from->shape(), DType::kF64, to_doubles(*from));
    // Each of the 900 products is about 1.
    EXPECT_EQ(difference(multiply(kReference, form, narrow, false),
                         multiply(kReference, form, wide, false), 0, 30 * sum_tolerance(s.k)),
              "");
  }
}

// x rounded to bf16, as f32.
Tensor rounded(Pass& pass, const Tensor& x) {
  std::vector<double> values = to_doubles(x);
  for (double& value : values)
    value = static_cast<double>(bf16_to_f32(f32_to_bf16(static_cast<float>(value))));
  return from_values(pass, x.shape(), DType::kF32, values);
}

TEST(Matmul, InBf16IsTheProductOfRoundedOperands) {
  for (const Form form : kForms) {
    for (const Size& s : {Size{3, 5, 7}, Size{8, 10, 600}}) {
      TestPass pass;
      const Operands x = operands(pass.plain, form, s, DType::kF32, true);
      Operands y = operands(pass.plain, form, s, DType::kF32, true);
      y.a = rounded(pass.plain, x.a);
      y.b = rounded(pass.plain, x.b);
      EXPECT_EQ(difference(multiply(kReferenceBf16, form, x, true),
                           multiply(kReference, form, y, true), 0, 30 * sum_tolerance(s.k)),
                "");
    }
  }
}

TEST(Matmul, KeepsInfinitiesAndNotANumber) {
  std::vector<Version> versions = fast_versions();
  versions.insert(versions.end(), {kReference, kReferenceBf16});
  for (const Version& version : versions) {
    TestPass pass;
    Tensor a = from_values(pass.plain, {2, 16}, DType::kF32, std::vector<double>(32, 1.0));
    const Tensor b = from_values(pass.plain, {1, 16}, DType::kF32, std::vector<double>(16, 1.0));
    a.mutable_data<float>()[3] = std::numeric_limits<float>::infinity();
    a.mutable_data<float>()[20] = std::bit_cast<float>(0x7f800001u);  // its payload is below bf16
    Tensor c = pass.plain.empty({2, 1}, DType::kF32);
    version.nt(nullptr, a.read(), b.read(), c.write(), false);
    EXPECT_TRUE(std::isinf(to_doubles(c)[0])) << version.name;
    EXPECT_TRUE(std::isnan(to_doubles(c)[1])) << version.name;
  }
}

TEST(Matmul, WritesNothingBesideItsResult) {
  for (const Version& version : fast_versions()) {
    for (const Form form : kForms) {
      for (const Size& s : kSizes) {
        TestPass pass;
        Operands x = operands(pass.plain, form, s, DType::kF32, false);
        const Tensor wide = random_tensor(pass.plain, {s.m + 2, s.n + 9}, DType::kF32, 4);
        const std::vector<double> before = to_doubles(wide);
        x.c = wide.rows_at(1, s.m).columns(4, s.n);
        multiply(version, form, x, false);
        const std::vector<double> after = to_doubles(wide);
        for (int64_t r = 0; r < s.m + 2; ++r) {
          for (int64_t c = 0; c < s.n + 9; ++c) {
            const bool inside = r >= 1 && r <= s.m && c >= 4 && c < s.n + 4;
            const auto i = static_cast<size_t>(r * (s.n + 9) + c);
            ASSERT_TRUE(inside || before[i] == after[i])
                << version.name << " " << s << " at " << r << ", " << c;
          }
        }
      }
    }
  }
}

TEST(Matmul, ARowAloneEqualsTheSameRowInABatch) {
  for (const Version& version : fast_versions()) {
    TestPass pass;
    for (const int64_t rows : {2, 7, 15, 29, 61, 200}) {
      for (const Form form : {Form::kNt, Form::kNn}) {
        const Operands batch = operands(pass.plain, form, {rows, 150, 321}, DType::kF32, false);
        const Tensor all = multiply(version, form, batch, false);
        for (int64_t r = 0; r < rows; r += 3) {
          Operands one = batch;
          one.a = batch.a.rows_at(r, 1);
          one.c = pass.plain.empty({1, 150}, DType::kF32);
          EXPECT_TRUE(identical(multiply(version, form, one, false), all.rows_at(r, 1)))
              << version.name << ", row " << r << " of " << rows;
        }
      }
    }
  }
}

TEST(Matmul, ResultsDoNotDependOnTheNumberOfThreads) {
  for (const Version& version : fast_versions()) {
    for (const Form form : kForms) {
      for (const Size& s : {Size{1, 1000, 400}, Size{70, 90, 300}, Size{300, 40, 40}}) {
        TestPass pass;
        const auto [one, two] = with_one_and_two_threads([&] {
          return multiply(version, form, operands(pass.plain, form, s, DType::kF32, false), true);
        });
        EXPECT_TRUE(identical(one, two)) << version.name << " " << s;
      }
    }
  }
}

TEST(Matmul, ASumOverNothingIsZeroOrWhatWasThere) {
  for (const Version& version : fast_versions()) {
    TestPass pass;
    for (const Form form : kForms) {
      const Operands x = operands(pass.plain, form, {3, 20, 0}, DType::kF32, false);
      const std::vector<double> before = to_doubles(x.c);
      EXPECT_EQ(to_doubles(multiply(version, form, x, true)), before) << version.name;
      EXPECT_EQ(to_doubles(multiply(version, form, x, false)), std::vector<double>(60, 0.0));
      multiply(version, form, operands(pass.plain, form, {0, 20, 4}, DType::kF32, false), false);
    }
  }
}

// Subnormal operands, results and old values: bf16 products flush them, f32 products keep them.
TEST(Matmul, TreatsSubnormalNumbersAsItsReference) {
  for (const Version& version : fast_versions()) {
    for (const double scale : {1e-19, 1e-39}) {
      TestPass pass;
      const auto result = [&](const Version& v) {
        const Tensor a = random_tensor(pass.plain, {20, 40}, DType::kF32, 1, scale);
        const Tensor b = random_tensor(pass.plain, {24, 40}, DType::kF32, 2, 1e-19);
        Tensor c = random_tensor(pass.plain, {20, 24}, DType::kF32, 3, 1e-38);
        v.nt(nullptr, a.read(), b.read(), c.write(), true);
        return c;
      };
      EXPECT_TRUE(identical(result(version), result(reference_of(version)))) << version.name;
    }
  }
}

TEST(Matmul, FastVersionsTakeDoublesToo) {
  for (const Version& version : fast_versions()) {
    for (const Form form : kForms) {
      TestPass pass;
      const auto fresh = [&] { return operands(pass.plain, form, {5, 9, 11}, DType::kF64, true); };
      EXPECT_TRUE(identical(multiply(version, form, fresh(), true),
                            multiply(kReference, form, fresh(), true)));
    }
  }
}

// Row counts of groups.
using Counts = std::vector<int64_t>;
const Counts kCounts[] = {{5},          {0, 3, 0, 0, 7, 1, 0}, {0, 0, 0},       {40, 1, 29},
                          {200, 3, 90}, {1, 1, 1, 1, 1, 1},    {15, 14, 13, 0}, {}};

Tensor offsets_of(Pass& pass, const Counts& counts) {
  std::vector<double> offsets = {0};
  for (const int64_t count : counts) offsets.push_back(offsets.back() + static_cast<double>(count));
  return from_values(pass, {static_cast<int64_t>(offsets.size())}, DType::kI32, offsets);
}

struct GroupedCase {
  Tensor offsets, x, y, weight;  // [groups + 1], [rows, in], [rows, out], [groups, out, in]
  std::vector<uint8_t> live;

  GroupedCase(Pass& pass, const Counts& counts, int64_t out, int64_t in, DType dtype)
      : offsets(offsets_of(pass, counts)) {
    int64_t rows = 0;
    for (const int64_t count : counts) rows += count;
    const auto groups = static_cast<int64_t>(counts.size());
    x = random_slice(pass, rows, in, dtype, 1);
    y = random_slice(pass, rows, out, dtype, 2);
    weight = random_tensor(pass, {groups, out, in}, dtype, 3);
    for (int64_t g = 0; g < groups; ++g) live.push_back(g % 2 == 0 ? 1 : 0);
  }
};

struct GroupedResults {
  Tensor nt, nn, tn;
  std::vector<uint8_t> live;
};

GroupedResults run_grouped(const Version& version, Pass& pass, const Counts& counts, int64_t out,
                           int64_t in, DType dtype = DType::kF32) {
  GroupedResults results;
  GroupedCase c(pass, counts, out, in, dtype);
  version.grouped_nt(nullptr, c.x.read(), c.offsets.read(), c.weight.read(), c.y.write());
  results.nt = c.y;
  c = GroupedCase(pass, counts, out, in, dtype);
  version.grouped_nn(nullptr, c.y.read(), c.offsets.read(), c.weight.read(), c.x.write());
  results.nn = c.x;
  c = GroupedCase(pass, counts, out, in, dtype);
  version.grouped_tn(nullptr, c.y.read(), c.offsets.read(), c.x.read(), c.weight.write(),
                     c.live.data());
  results.tn = c.weight;
  results.live = c.live;
  return results;
}

bool same(const GroupedResults& a, const GroupedResults& b) {
  return identical(a.nt, b.nt) && identical(a.nn, b.nn) && identical(a.tn, b.tn) &&
         a.live == b.live;
}

TEST(GroupedMatmul, FastVersionsEqualTheReferenceBitForBit) {
  for (const Version& version : fast_versions()) {
    for (const Counts& counts : kCounts) {
      for (const auto& [out, in] : {std::pair<int64_t, int64_t>{33, 40}, {128, 64}, {5, 300}}) {
        for (const DType dtype : {DType::kF32, DType::kF64}) {
          TestPass pass;
          EXPECT_TRUE(same(run_grouped(version, pass.plain, counts, out, in, dtype),
                           run_grouped(reference_of(version), pass.plain, counts, out, in, dtype)))
              << version.name << ", " << counts.size() << " groups, " << out << "x" << in;
        }
      }
    }
  }
}

TEST(GroupedMatmul, AGroupEqualsItsProductAlone) {
  const Counts counts = {4, 0, 6};
  TestPass pass;
  const GroupedResults results = run_grouped(kReference, pass.plain, counts, 8, 12);
  const GroupedCase c(pass.plain, counts, 8, 12, DType::kF32);
  Tensor y = pass.plain.empty({6, 8}, DType::kF32);
  reference::matmul_nt(nullptr, c.x.rows_at(4, 6).read(), c.weight.rows_at(16, 8).read(), y.write(),
                       false);
  EXPECT_TRUE(identical(results.nt.rows_at(4, 6), y));
  Tensor x = pass.plain.empty({6, 12}, DType::kF32);
  reference::matmul_nn(nullptr, c.y.rows_at(4, 6).read(), c.weight.rows_at(16, 8).read(), x.write(),
                       false);
  EXPECT_TRUE(identical(results.nn.rows_at(4, 6), x));
}

// live is {1, 0, 1} before: the first group adds, the second has no rows, the third adds too.
TEST(GroupedMatmul, WeightGradientsAddWhereAGroupIsLiveAndElseOverwrite) {
  std::vector<Version> versions = fast_versions();
  versions.push_back(kReference);
  for (const Version& version : versions) {
    TestPass pass;
    GroupedCase c(pass.plain, {2, 3, 0, 0}, 1, 1, DType::kF32);
    c.x = from_values(pass.plain, {5, 1}, DType::kF32, {1, 2, 3, 4, 5});
    c.y = from_values(pass.plain, {5, 1}, DType::kF32, {10, 20, 30, 40, 50});
    c.weight = from_values(pass.plain, {4, 1, 1}, DType::kF32, {1000, 2000, 3000, 4000});
    version.grouped_tn(nullptr, c.y.read(), c.offsets.read(), c.x.read(), c.weight.write(),
                       c.live.data());
    EXPECT_EQ(to_doubles(c.weight), std::vector<double>({1050, 500, 3000, 4000})) << version.name;
    EXPECT_EQ(c.live, std::vector<uint8_t>({1, 1, 1, 0})) << version.name;
  }
}

TEST(GroupedMatmul, ResultsDoNotDependOnTheNumberOfThreads) {
  for (const Version& version : fast_versions()) {
    for (const Counts& counts : {Counts{60, 2, 110, 0, 33}, Counts{1, 1, 1}, Counts{300}}) {
      TestPass pass;
      const auto [one, two] = with_one_and_two_threads(
          [&] { return run_grouped(version, pass.plain, counts, 160, 200); });
      EXPECT_TRUE(same(one, two)) << version.name;
    }
  }
}

TEST(Bias, IsAddedToEachRowAndItsGradientIsTheSumOfRows) {
  testing::for_each_simd_target([] {
    for (const Size& s : {Size{3, 5, 0}, Size{70, 333, 0}, Size{400, 100, 0}, Size{0, 4, 0}}) {
      TestPass pass;
      const Tensor b = random_tensor(pass.plain, {s.n}, DType::kF32, 1);
      Tensor y = random_slice(pass.plain, s.m, s.n, DType::kF32, 2);
      Tensor expected = random_slice(pass.plain, s.m, s.n, DType::kF32, 2);
      cpu::add_bias(nullptr, b.read(), y.write());
      reference::add_bias(nullptr, b.read(), expected.write());
      EXPECT_TRUE(identical(y, expected));
      for (const bool accumulate : {false, true}) {
        Tensor db = random_tensor(pass.plain, {s.n}, DType::kF32, 3);
        Tensor exact = random_tensor(pass.plain, {s.n}, DType::kF32, 3);
        cpu::bias_backward(nullptr, y.read(), db.write(), accumulate);
        reference::bias_backward(nullptr, y.read(), exact.write(), accumulate);
        EXPECT_EQ(difference(db, exact, 0,
                             2 * std::sqrt(static_cast<double>(s.m) + 1) * sum_tolerance(s.m + 1)),
                  "");
      }
    }
  });
}

TEST(MachinePeaks, AreMeasured) {
  const CpuFeatures cpu = detect_cpu();
  const double plain = measure_fma_peak(capped(cpu, Isa::kPlain));
  EXPECT_GT(plain, 0.1);
  EXPECT_GE(measure_fma_peak(capped(cpu, Isa::kAvx2)), cpu.avx2 && cpu.fma ? plain : 0.1);
  const double tiles = measure_tile_peak(cpu);
  if (cpu.amx_bf16 && request_amx()) {
    EXPECT_GT(tiles, plain);
  } else {
    EXPECT_EQ(tiles, 0);
  }
  EXPECT_EQ(measure_tile_peak(capped(cpu, Isa::kAvx512)), 0);
  const MemoryBandwidth memory = measure_memory_bandwidth();
  EXPECT_GT(memory.read_gbytes_s, 0.1);
  EXPECT_GT(memory.copy_gbytes_s, 0.1);
}

}  // namespace
}  // namespace fathom
