// Which version of each kernel this machine runs, and why.
//
// Threads: any; nothing here has state. The Highway kernels pick their instruction set at run time,
// from what limit_highway() leaves them; the others are chosen here.
#pragma once

#include <string>
#include <vector>

#include "base/cpu.h"
#include "ops/kernel_table.h"

namespace fathom {

struct KernelChoice {
  std::string op;       // the slot in KernelTable
  std::string version;  // "plain", "avx2", "avx512"
  std::string reason;   // what was measured
};

// The references, overridden by what is faster on a processor with these features. `choices` may be
// null; it gets one entry for each slot.
KernelTable cpu_kernels(const CpuFeatures& cpu, std::vector<KernelChoice>* choices = nullptr);

// Products whose operands are rounded to bf16: their specification, and the AMX tiles that compute
// it.
KernelTable reference_bf16_kernels();
void use_bf16_products(KernelTable& table, std::vector<KernelChoice>& choices);

// Keeps the Highway kernels of this process below what `cpu` lacks.
void limit_highway(const CpuFeatures& cpu);

}  // namespace fathom
