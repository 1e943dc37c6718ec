// A product that computes nonsense on some machine must not train a model: each chosen one runs a
// small case against its reference before it is used.
#pragma once

#include <vector>

#include "backend/cpu_kernels.h"

namespace fathom {

// Runs matrix products, grouped products and attention of `table` against the references. One that
// disagrees is replaced by its reference, with a warning, and its choice says so. `plain` is the
// specification that fits the table's precision.
void check_products(KernelTable& table, std::vector<KernelChoice>& choices,
                    const KernelTable& plain = reference_kernels());

}  // namespace fathom
