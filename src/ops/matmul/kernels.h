// Kernels of the matrix products; contracts are in ops/kernel_table.h.
//
// Every element of a product is one chain of fused multiply-adds over k in ascending order. The
// chain begins with 0, or with the element's old value where the product accumulates. It is the
// same for every form, shape, instruction set, blocking and number of threads, so that all f32
// versions, the reference too, agree bit for bit.
#pragma once

#include <vector>

#include "ops/bench_rows.h"
#include "ops/kernel_table.h"

namespace fathom {

struct CpuFeatures;  // base/cpu.h

namespace reference {
void matmul_nt(Stream*, ConstView a, ConstView b, View c, bool accumulate);
void matmul_nn(Stream*, ConstView a, ConstView b, View c, bool accumulate);
void matmul_tn(Stream*, ConstView a, ConstView b, View c, bool accumulate);
void grouped_nt(Stream*, ConstView a, ConstView offsets, ConstView b, View c);
void grouped_nn(Stream*, ConstView a, ConstView offsets, ConstView b, View c);
void grouped_tn(Stream*, ConstView a, ConstView offsets, ConstView b, View c, uint8_t* live);
void grouped_stored(Stream*, ConstView a, ConstView offsets, std::span<const ConstView> b, View c);
int64_t packed_floats(int64_t n, int64_t k);
void pack(Stream*, ConstView b, View packed);
void matmul_packed(Stream*, ConstView a, ConstView packed, View c);
void grouped_packed(Stream*, ConstView a, ConstView offsets, ConstView packed, View c);
void add_bias(Stream*, ConstView b, View y);
void bias_backward(Stream*, ConstView dy, View db, bool accumulate);

// For the slots of the same names without bf16: f32 operands are rounded to bf16 (nearest, ties to
// even) and their products added in f32, 32 steps of k at a time. Of these the even and the odd
// ones are two chains of multiply-adds that begin with 0; their sum is added to the element.
// Subnormal numbers count as 0. This is what tile instructions compute, again whatever the shape.
// f64 is not rounded.
void matmul_bf16_nt(Stream*, ConstView a, ConstView b, View c, bool accumulate);
void matmul_bf16_nn(Stream*, ConstView a, ConstView b, View c, bool accumulate);
void matmul_bf16_tn(Stream*, ConstView a, ConstView b, View c, bool accumulate);
void grouped_bf16_nt(Stream*, ConstView a, ConstView offsets, ConstView b, View c);
void grouped_bf16_nn(Stream*, ConstView a, ConstView offsets, ConstView b, View c);
void grouped_bf16_tn(Stream*, ConstView a, ConstView offsets, ConstView b, View c, uint8_t* live);
void grouped_stored_bf16(Stream*, ConstView a, ConstView offsets, std::span<const ConstView> b,
                         View c);
void matmul_packed_bf16(Stream*, ConstView a, ConstView packed, View c);
void grouped_packed_bf16(Stream*, ConstView a, ConstView offsets, ConstView packed, View c);
}  // namespace reference

// Multiply-adds in registers alone, for the peaks below.
struct MultiplyAddBurst {
  float (*run)(int64_t rounds) = nullptr;
  int64_t operations = 0;  // in a round
};

// On tile instructions, after request_amx() (base/cpu.h).
namespace amx {
void matmul_bf16_nt(Stream*, ConstView a, ConstView b, View c, bool accumulate);
void matmul_bf16_nn(Stream*, ConstView a, ConstView b, View c, bool accumulate);
void matmul_bf16_tn(Stream*, ConstView a, ConstView b, View c, bool accumulate);
void grouped_bf16_nt(Stream*, ConstView a, ConstView offsets, ConstView b, View c);
void grouped_bf16_nn(Stream*, ConstView a, ConstView offsets, ConstView b, View c);
void grouped_bf16_tn(Stream*, ConstView a, ConstView offsets, ConstView b, View c, uint8_t* live);
void grouped_stored_bf16(Stream*, ConstView a, ConstView offsets, std::span<const ConstView> b,
                         View c);
int64_t packed_bf16_floats(int64_t n, int64_t k);
void pack_bf16(Stream*, ConstView b, View packed);
void matmul_packed_bf16(Stream*, ConstView a, ConstView packed, View c);
void grouped_packed_bf16(Stream*, ConstView a, ConstView offsets, ConstView packed, View c);
MultiplyAddBurst multiply_add_burst();
}  // namespace amx

namespace cpu {
void add_bias(Stream*, ConstView b, View y);
void bias_backward(Stream*, ConstView dy, View db, bool accumulate);
}  // namespace cpu

namespace avx512 {
void matmul_nt(Stream*, ConstView a, ConstView b, View c, bool accumulate);
void matmul_nn(Stream*, ConstView a, ConstView b, View c, bool accumulate);
void matmul_tn(Stream*, ConstView a, ConstView b, View c, bool accumulate);
void grouped_nt(Stream*, ConstView a, ConstView offsets, ConstView b, View c);
void grouped_nn(Stream*, ConstView a, ConstView offsets, ConstView b, View c);
void grouped_tn(Stream*, ConstView a, ConstView offsets, ConstView b, View c, uint8_t* live);
void grouped_stored(Stream*, ConstView a, ConstView offsets, std::span<const ConstView> b, View c);
int64_t packed_floats(int64_t n, int64_t k);
void pack(Stream*, ConstView b, View packed);
void matmul_packed(Stream*, ConstView a, ConstView packed, View c);
void grouped_packed(Stream*, ConstView a, ConstView offsets, ConstView packed, View c);
MultiplyAddBurst multiply_add_burst();
}  // namespace avx512

namespace avx2 {
void matmul_nt(Stream*, ConstView a, ConstView b, View c, bool accumulate);
void matmul_nn(Stream*, ConstView a, ConstView b, View c, bool accumulate);
void matmul_tn(Stream*, ConstView a, ConstView b, View c, bool accumulate);
void grouped_nt(Stream*, ConstView a, ConstView offsets, ConstView b, View c);
void grouped_nn(Stream*, ConstView a, ConstView offsets, ConstView b, View c);
void grouped_tn(Stream*, ConstView a, ConstView offsets, ConstView b, View c, uint8_t* live);
void grouped_stored(Stream*, ConstView a, ConstView offsets, std::span<const ConstView> b, View c);
int64_t packed_floats(int64_t n, int64_t k);
void pack(Stream*, ConstView b, View packed);
void matmul_packed(Stream*, ConstView a, ConstView packed, View c);
void grouped_packed(Stream*, ConstView a, ConstView offsets, ConstView packed, View c);
MultiplyAddBurst multiply_add_burst();
}  // namespace avx2

std::vector<BenchRow> matmul_bench();

// What this machine can do at best, with the compute threads of base/team.h: the ceilings that
// bench rows are judged by. Each takes a fraction of a second.
double measure_fma_peak(const CpuFeatures& cpu);   // GFLOP/s, f32, a multiply-add is two operations
double measure_tile_peak(const CpuFeatures& cpu);  // the same for bf16 operands on AMX; 0: none

struct MemoryBandwidth {
  double read_gbytes_s = 0;
  double copy_gbytes_s = 0;  // bytes read and bytes written
};
MemoryBandwidth measure_memory_bandwidth();

}  // namespace fathom
