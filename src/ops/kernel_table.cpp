#include "ops/kernel_table.h"

namespace fathom {

const BasicKernels& basic_kernels(const KernelTable& table) { return table; }

}  // namespace fathom
