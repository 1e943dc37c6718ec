// What this processor and its operating system offer, as kernels are chosen by it.
//
// Threads: any. AMX needs the system's permission first: request_amx().
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace fathom {

// Usable features: the processor has them and the operating system saves their registers.
struct CpuFeatures {
  bool avx2 = false;
  bool fma = false;
  bool avx512 = false;  // F, BW, DQ and VL together
  bool avx512_bf16 = false;
  bool avx512_vnni = false;
  bool amx_bf16 = false;
  bool amx_int8 = false;
  std::string model_name;  // "Intel(R) Xeon(R) Processor", or "" where the processor does not say
};

CpuFeatures detect_cpu();

// Main memory that this process may fill: the machine's, or less where its control group says so.
size_t machine_memory_bytes();

// Families of kernels, each including those before it.
enum class Isa { kPlain, kAvx2, kAvx512, kAmx };

const char* name(Isa isa);             // "plain", "avx2", "avx512", "amx"
Isa parse_isa(std::string_view text);  // throws Error(kUsage) for any other word
std::vector<std::string> isa_names();  // all of them, lowest first
Isa best_isa(const CpuFeatures& cpu);  // the highest family that `cpu` can run

// `cpu` without what lies above `limit`, so that one machine tests every lower path.
CpuFeatures capped(CpuFeatures cpu, Isa limit);

// Asks Linux to let this process use AMX tile registers; once is enough, before the first tile
// instruction and before the worker threads start. False: no AMX here, or the system refuses; then
// tile instructions end the process.
bool request_amx();

}  // namespace fathom
