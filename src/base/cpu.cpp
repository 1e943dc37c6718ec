#include "base/cpu.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <fstream>

#include "base/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#endif

namespace fathom {
namespace {

constexpr std::array kIsaNames = {"plain", "avx2", "avx512", "amx"};

#if defined(__x86_64__)

struct Leaf {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// Zeros for a leaf that the processor does not have.
Leaf cpuid(uint32_t leaf, uint32_t subleaf = 0) {
  Leaf out;
  __get_cpuid_count(leaf, subleaf, &out.eax, &out.ebx, &out.ecx, &out.edx);
  return out;
}

bool bit(uint32_t word, int index) { return (word >> index & 1u) != 0; }

// XCR0: which register files the operating system saves. In assembly: the intrinsic needs -mxsave.
uint64_t saved_registers() {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<uint64_t>(high) << 32 | low;
}

std::string brand_string() {
  std::string text;
  for (uint32_t leaf = 0x80000002u; leaf <= 0x80000004u; ++leaf) {
    const Leaf part = cpuid(leaf);
    std::array<char, sizeof part> bytes;
    std::memcpy(bytes.data(), &part, sizeof part);
    text.append(bytes.data(), bytes.size());
  }
  text.resize(text.find('\0') == std::string::npos ? text.size() : text.find('\0'));
  const size_t first = text.find_first_not_of(' ');
  return first == std::string::npos ? ""
                                    : text.substr(first, text.find_last_not_of(' ') - first + 1);
}

#endif

}  // namespace

CpuFeatures detect_cpu() {
  CpuFeatures cpu;
#if defined(__x86_64__)
  cpu.model_name = brand_string();
  const Leaf basic = cpuid(1);
  const bool xgetbv_usable = bit(basic.ecx, 27);
  if (!xgetbv_usable) return cpu;
  constexpr uint64_t kAvxState = 0x6, kAvx512State = 0xE6, kAmxState = 0x60000;
  const uint64_t saved = saved_registers();
  const bool avx_saved = (saved & kAvxState) == kAvxState;
  const bool avx512_saved = (saved & kAvx512State) == kAvx512State;
  const bool amx_saved = (saved & kAmxState) == kAmxState;

  const Leaf extended = cpuid(7);
  const Leaf extended1 = cpuid(7, 1);
  cpu.avx2 = avx_saved && bit(extended.ebx, 5);
  cpu.fma = avx_saved && bit(basic.ecx, 12);
  const bool foundation = bit(extended.ebx, 16), dq = bit(extended.ebx, 17);
  const bool bw = bit(extended.ebx, 30), vl = bit(extended.ebx, 31);
  cpu.avx512 = avx512_saved && foundation && bw && dq && vl;
  cpu.avx512_vnni = cpu.avx512 && bit(extended.ecx, 11);
  cpu.avx512_bf16 = cpu.avx512 && bit(extended1.eax, 5);
  const bool tiles = amx_saved && bit(extended.edx, 24);
  cpu.amx_bf16 = tiles && bit(extended.edx, 22);
  cpu.amx_int8 = tiles && bit(extended.edx, 25);
#endif
  return cpu;
}

const char* name(Isa isa) { return kIsaNames.at(static_cast<size_t>(isa)); }

std::vector<std::string> isa_names() { return {kIsaNames.begin(), kIsaNames.end()}; }

Isa parse_isa(std::string_view text) {
  for (size_t i = 0; i < kIsaNames.size(); ++i) {
    if (text == kIsaNames[i]) return static_cast<Isa>(i);
  }
  fail(ErrorCode::kUsage, "unknown instruction set '", text,
       "'; expected plain, avx2, avx512 or amx", did_you_mean(text, isa_names()));
}

Isa best_isa(const CpuFeatures& cpu) {
  if (cpu.amx_bf16 || cpu.amx_int8) return Isa::kAmx;
  if (cpu.avx512) return Isa::kAvx512;
  return cpu.avx2 && cpu.fma ? Isa::kAvx2 : Isa::kPlain;
}

CpuFeatures capped(CpuFeatures cpu, Isa limit) {
  if (limit < Isa::kAmx) cpu.amx_bf16 = cpu.amx_int8 = false;
  if (limit < Isa::kAvx512) cpu.avx512 = cpu.avx512_bf16 = cpu.avx512_vnni = false;
  if (limit < Isa::kAvx2) cpu.avx2 = cpu.fma = false;
  return cpu;
}

size_t machine_memory_bytes() {
  const size_t machine =
      static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  size_t group = 0;
  std::ifstream limit("/sys/fs/cgroup/memory.max");  // absent, or "max", where there is no limit
  return limit >> group && group > 0 ? std::min(machine, group) : machine;
}

bool request_amx() {
#if defined(__x86_64__) && defined(__linux__)
  const CpuFeatures cpu = detect_cpu();
  if (!cpu.amx_bf16 && !cpu.amx_int8) return false;
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM, Linux 5.16
  constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

}  // namespace fathom
