#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <set>

#include "backend/device.h"
#include "backend/self_check.h"
#include "base/log.h"
#include "base/team.h"
#include "ops/bench_rows.h"
#include "ops/swiglu/swiglu.h"
#include "ops/testing.h"

namespace fathom {
namespace {

// All of a table but the operand dtype, which comes last.
using Slots = std::array<void*, sizeof(KernelTable) / sizeof(void*) - 1>;

Slots slots(const KernelTable& table) {
  Slots all;
  std::memcpy(all.data(), &table, sizeof all);
  return all;
}

int differing_slots(const KernelTable& a, const KernelTable& b) {
  const Slots x = slots(a), y = slots(b);
  int count = 0;
  for (size_t i = 0; i < x.size(); ++i) count += x[i] != y[i];
  return count;
}

TEST(CpuKernels, NameOneVersionForEachSlot) {
  for (const Isa isa : {Isa::kPlain, Isa::kAvx2, Isa::kAmx}) {
    std::vector<KernelChoice> choices;
    const KernelTable table = cpu_kernels(capped(detect_cpu(), isa), &choices);
    std::set<std::string> ops;
    int fast = 0;
    for (const KernelChoice& choice : choices) {
      ops.insert(choice.op);
      fast += choice.version != "plain";
      EXPECT_FALSE(choice.reason.empty()) << choice.op;
    }
    EXPECT_EQ(ops.size(), Slots().size());
    EXPECT_EQ(choices.size(), Slots().size());
    EXPECT_EQ(fast, differing_slots(table, reference_kernels()));
    for (void* slot : slots(table)) EXPECT_NE(slot, nullptr);
  }
}

TEST(CpuKernels, ALimitOfPlainLeavesTheReferences) {
  EXPECT_EQ(differing_slots(cpu_kernels(capped(detect_cpu(), Isa::kPlain)), reference_kernels()),
            0);
}

TEST(CpuKernels, NothingAboveTheLimitIsChosen) {
  std::vector<KernelChoice> choices;
  cpu_kernels(capped(detect_cpu(), Isa::kAvx2), &choices);
  for (const KernelChoice& choice : choices)
    EXPECT_TRUE(choice.version == "plain" || choice.version == "avx2");
}

// Collects warnings while it lives.
class Warnings {
 public:
  Warnings() {
    before_ = set_log_sink([this](LogLevel level, const std::string& line) {
      if (level == LogLevel::kWarning) lines.push_back(line);
    });
  }
  ~Warnings() { set_log_sink(before_); }
  std::vector<std::string> lines;

 private:
  LogSink before_;
};

TEST(SelfCheck, AcceptsWhatThisMachineChooses) {
  Warnings warnings;
  for (const Isa isa : {Isa::kPlain, Isa::kAvx2, Isa::kAvx512, Isa::kAmx}) {
    std::vector<KernelChoice> choices;
    const KernelTable chosen = cpu_kernels(capped(detect_cpu(), isa), &choices);
    KernelTable checked = chosen;
    check_products(checked, choices);
    EXPECT_EQ(differing_slots(checked, chosen), 0) << name(isa);
  }
  EXPECT_TRUE(warnings.lines.empty()) << warnings.lines.front();
}

void nonsense(Stream*, ConstView, ConstView, View c, bool) { c.row<float>(0)[0] = 1e6f; }
void forgets_the_group(Stream*, ConstView a, ConstView, ConstView b, View c, uint8_t*) {
  constexpr int32_t kEmpty[] = {0, 0, 0, 0};
  uint8_t live[3] = {};
  reference_kernels().grouped_tn(nullptr, a, {kEmpty, DType::kI32, Shape{4}, 4}, b, c, live);
}
void not_a_number(Stream*, ConstView, ConstView, ConstView, ConstView, const AttentionShape&,
                  View out, View) {
  out.row<float>(0)[0] = std::nanf("");
}
void unwritten(Stream*, ConstView, ConstView, std::span<const PagedSpan>, const PagedShape&, View) {
}

TEST(SelfCheck, ReplacesAProductThatIsWrongAndSaysSo) {
  Warnings warnings;
  std::vector<KernelChoice> choices;
  const KernelTable chosen = cpu_kernels(detect_cpu(), &choices);
  KernelTable table = chosen;
  table.matmul_nn = &nonsense;
  table.grouped_tn = &forgets_the_group;
  table.attention = &not_a_number;
  table.paged_attention = &unwritten;
  check_products(table, choices);
  const KernelTable plain = reference_kernels();
  EXPECT_EQ(table.matmul_nn, plain.matmul_nn);
  EXPECT_EQ(table.grouped_tn, plain.grouped_tn);
  EXPECT_EQ(table.attention, plain.attention);
  EXPECT_EQ(table.paged_attention, plain.paged_attention);
  EXPECT_EQ(table.matmul_nt, chosen.matmul_nt);
  ASSERT_EQ(warnings.lines.size(), 4u);
  EXPECT_NE(warnings.lines[0].find(
                "matmul_nn computes wrong results on this machine (element 0 is 1e+06"),
            std::string::npos)
      << warnings.lines[0];
  for (const KernelChoice& choice : choices) {
    if (choice.op != "attention") continue;
    EXPECT_EQ(choice.version, "plain");
    EXPECT_NE(choice.reason.find("gave wrong results here"), std::string::npos);
  }
}

TEST(Device, ComputesTheSameOnEveryInstructionSet) {
  std::vector<std::vector<double>> results;
  for (const Isa isa : {Isa::kPlain, Isa::kAvx2, Isa::kAmx}) {
    Device device = Device::open({.isa = isa, .threads = 1});
    Pass pass = device.pass();
    results.push_back(
        testing::to_doubles(swiglu(pass, testing::random_tensor(pass, {5, 34}, DType::kF32, 1))));
  }
  for (const std::vector<double>& result : results) {
    for (size_t i = 0; i < result.size(); ++i) EXPECT_NEAR(result[i], results[0][i], 1e-6);
  }
}

TEST(Device, SetsItsThreadsForTheThreadThatComputes) {
  const int before = team_size();
  const Device device = Device::open({.threads = 2});
  EXPECT_EQ(device.threads(), 2);
  EXPECT_EQ(team_size(), 2);
  set_team_size(1);
  device.compute_here();
  EXPECT_EQ(team_size(), 2);
  set_team_size(before);
  EXPECT_GE(Device::open().threads(), 1);
  set_team_size(before);
}

TEST(Device, MayBeMovedWhileAPassIsOpen) {
  Device first = Device::open({.threads = 1});
  Pass pass = first.pass();
  const Device second = std::move(first);
  EXPECT_EQ(&pass.kernels, &second.kernels());
  EXPECT_EQ(testing::to_doubles(pass.zeros({2}, DType::kF32)), std::vector<double>(2, 0.0));
}

TEST(Device, RefusesMoreMemoryThanItsLimit) {
  Device device = Device::open({.threads = 1, .memory_limit = 1 << 20});
  try {
    device.pass().empty({1 << 20}, DType::kF32);
    FAIL() << "4 MB of 1 MB were handed out";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kMemory);
  }
}

TEST(Device, RefusesANegativeNumberOfThreads) {
  EXPECT_THROW(Device::open({.threads = -1}), Error);
}

// A row that crashes or needs a slot of its own is found here rather than by the person who
// measures. Small ones only: the large ones differ in nothing but time.
TEST(BenchRows, RunOnEveryTable) {
  Device device = Device::open({.threads = 1});
  Pass pass = device.pass();
  std::set<std::string> names;
  for (const BenchRow& row : all_bench_rows()) {
    EXPECT_TRUE(names.insert(row.op + " " + row.shape + " " + row.dtype).second)
        << row.op << " " << row.shape;
    EXPECT_GT(row.flops + row.bytes, 0) << row.op;
    if (row.bytes < 4e6 && row.flops < 1e8) row.prepare(pass)();
  }
}

}  // namespace
}  // namespace fathom
