
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/team.h"
#include "ops/matmul/kernels.h"
#include "runtime/elementwise.h"

namespace fathom {
namespace {

// m, n, k as in the contract of the kernel table.
struct Size {
  int64_t m, n, k;
};

double operations(const Size& s) { return 2.0 * static_cast<double>(s.m * s.n * s.k); }
double bytes(const Size& s) { return 4.0 * static_cast<double>(s.m * s.k + s.n * s.k + s.m * s.n); }

Tensor ones(Pass& pass, const Shape& shape) {
  Tensor x = pass.empty(shape, DType::kF32);
  fill_ones(x);
  return x;
}

using Slot = decltype(KernelTable::matmul_nt) KernelTable::*;

BenchRow row(const char* op, Slot slot, const Size& s, const Shape& a_shape, const Shape& b_shape) {
  // A product of one row is limited by memory: each weight is read for two operations.
  const bool by_bytes = s.m == 1;
  return {op,
          concat(s.m, "x", s.n, "x", s.k),
          "f32",
          by_bytes ? 0 : operations(s),
          bytes(s),
          [=](Pass& pass) -> std::function<void()> {
            return [=, &pass, a = ones(pass, a_shape), b = ones(pass, b_shape),
                    c = ones(pass, {s.m, s.n})]() mutable {
              (pass.kernels.*slot)(pass.stream, a.read(), b.read(), c.write(), false);
            };
          }};
}

BenchRow nt(const Size& s) {
  return row("matmul_nt", &KernelTable::matmul_nt, s, {s.m, s.k}, {s.n, s.k});
}

// A linear layer of `tokens` rows: forward and both gradients.
void add_layer(std::vector<BenchRow>& rows, int64_t tokens, int64_t out, int64_t in) {
  rows.push_back(nt({tokens, out, in}));
  rows.push_back(
      row("matmul_nn", &KernelTable::matmul_nn, {tokens, in, out}, {tokens, out}, {out, in}));
  rows.push_back(
      row("matmul_tn", &KernelTable::matmul_tn, {out, in, tokens}, {tokens, out}, {tokens, in}));
}

struct Experts {
  int64_t groups, rows, out, in;  // rows of each group
};

struct ExpertBuffers {
  ExpertBuffers(Pass& pass, const Experts& e)
      : offsets(pass.empty({e.groups + 1}, DType::kI32)),
        x(ones(pass, {e.groups * e.rows, e.in})),
        y(ones(pass, {e.groups * e.rows, e.out})),
        weight(ones(pass, {e.groups, e.out, e.in})),
        live(static_cast<size_t>(e.groups)) {
    for (int64_t g = 0; g <= e.groups; ++g)
      offsets.mutable_data<int32_t>()[g] = static_cast<int32_t>(g * e.rows);
  }
  Tensor offsets, x, y, weight;
  std::vector<uint8_t> live;
};

BenchRow expert_row(const char* op, const Experts& e, void (*work)(Pass&, ExpertBuffers&)) {
  const Size all{e.groups * e.rows, e.out, e.in};
  return {op,
          concat(e.groups, " of ", e.rows, "x", e.out, "x", e.in),
          "f32",
          operations(all),
          bytes(all) + 4.0 * static_cast<double>((e.groups - 1) * e.out * e.in),
          [=](Pass& pass) -> std::function<void()> {
            return [&pass, work, b = ExpertBuffers(pass, e)]() mutable { work(pass, b); };
          }};
}

void experts_nt(Pass& pass, ExpertBuffers& b) {
  pass.kernels.grouped_nt(pass.stream, b.x.read(), b.offsets.read(), b.weight.read(), b.y.write());
}
void experts_nn(Pass& pass, ExpertBuffers& b) {
  pass.kernels.grouped_nn(pass.stream, b.y.read(), b.offsets.read(), b.weight.read(), b.x.write());
}
void experts_tn(Pass& pass, ExpertBuffers& b) {
  std::fill(b.live.begin(), b.live.end(), uint8_t{0});
  pass.kernels.grouped_tn(pass.stream, b.y.read(), b.offsets.read(), b.x.read(), b.weight.write(),
                          b.live.data());
}

// The best of several runs of fn(), in seconds.
template <class Fn>
double best_seconds(const Fn& fn) {
  double best = 1e30;
  for (int run = 0; run < 12; ++run) {
    const Timer timer;
    fn();
    best = std::min(best, timer.seconds());
  }
  return best;
}

// Without vectors the plain kernels' own arithmetic, a multiplication and an addition, is the peak.
float plain_burst(int64_t rounds) {
  std::array<float, 32> sum{};
  for (int64_t r = 0; r < rounds; ++r) {
    for (float& value : sum) value = value * 0.5f + 1.0f;
  }
  float total = 0;
  for (const float value : sum) total += value;
  return total;
}

// Every thread of the team at once; `operations` each.
double burst_gflops(const MultiplyAddBurst& burst, int64_t operations) {
  const int64_t rounds = operations / burst.operations;
  volatile float keep = 0;
  const double seconds = best_seconds(
      [&] { share_tasks(team_size(), [&](int64_t, int) { keep = burst.run(rounds); }); });
  return static_cast<double>(team_size() * rounds * burst.operations) / seconds / 1e9;
}

}  // namespace

// Layers of the presets tiny (2048 tokens), small (4096) and v3-nano (1500), experts in training
// and prefill, decoding of 512 and of few rows.
std::vector<BenchRow> matmul_bench() {
  std::vector<BenchRow> rows;
  for (const auto& [out, in] :
       {std::pair<int64_t, int64_t>{192, 192}, {576, 192}, {1024, 192}, {192, 512}, {4096, 192}})
    add_layer(rows, 2048, out, in);
  for (const auto& [out, in] :
       {std::pair<int64_t, int64_t>{1152, 384}, {384, 384}, {3072, 384}, {384, 1536}, {8192, 384}})
    add_layer(rows, 4096, out, in);
  for (const auto& [out, in] : {std::pair<int64_t, int64_t>{88, 128},
                                {96, 48},
                                {128, 32},
                                {256, 128},
                                {512, 128},
                                {128, 256}})
    add_layer(rows, 1500, out, in);
  for (const Experts& e : {Experts{16, 375, 128, 128}, {16, 375, 128, 64}, {64, 64, 128, 128}}) {
    rows.push_back(expert_row("grouped_nt", e, &experts_nt));
    rows.push_back(expert_row("grouped_nn", e, &experts_nn));
    rows.push_back(expert_row("grouped_tn", e, &experts_tn));
  }
  rows.push_back(expert_row("grouped_nt", {64, 1, 1408, 2048}, &experts_nt));
  for (const int64_t m : {512, 8, 1}) {
    rows.push_back(nt({m, 576, 192}));
    rows.push_back(nt({m, 8192, 2048}));
  }
  return rows;
}

double measure_fma_peak(const CpuFeatures& cpu) {
  MultiplyAddBurst burst{&plain_burst, 64};
  if (cpu.avx2 && cpu.fma)
    burst = cpu.avx512 ? avx512::multiply_add_burst() : avx2::multiply_add_burst();
  return burst_gflops(burst, 400'000'000);
}

double measure_tile_peak(const CpuFeatures& cpu) {
  if (!cpu.amx_bf16 || !request_amx()) return 0;
  return burst_gflops(amx::multiply_add_burst(), 8'000'000'000);
}

MemoryBandwidth measure_memory_bandwidth() {
  constexpr int64_t kBytes = int64_t{256} << 20;  // more than most last-level caches
  constexpr int64_t kChunk = int64_t{1} << 20;
  constexpr int64_t kWords = kChunk / 8;
  const std::unique_ptr<uint64_t[]> words(new uint64_t[kBytes / 8]);
  share_tasks(kBytes / kChunk,
              [&](int64_t c, int) { std::fill_n(words.get() + c * kWords, kWords, c); });

  volatile uint64_t keep = 0;
  const double read = best_seconds([&] {
    share_tasks(kBytes / kChunk, [&](int64_t c, int) {
      const uint64_t* from = words.get() + c * kWords;
      std::array<uint64_t, 8> sums{};
      for (int64_t i = 0; i < kWords; i += 8) {
        for (size_t u = 0; u < 8; ++u) sums[u] ^= from[i + static_cast<int64_t>(u)];
      }
      uint64_t total = 0;
      for (const uint64_t sum : sums) total ^= sum;
      keep = total;
    });
  });
  const double copy = best_seconds([&] {
    share_tasks(kBytes / kChunk / 2, [&](int64_t c, int) {
      std::memcpy(words.get() + (kBytes / kChunk / 2 + c) * kWords, words.get() + c * kWords,
                  static_cast<size_t>(kChunk));
    });
  });
  const double gbytes = static_cast<double>(kBytes) / 1e9;
  return {gbytes / read, gbytes / copy};
}

}  // namespace fathom
