// The values of a model that has not learnt anything: N(0, initializer_range) for matrices, 1 for
// norms, 0 for biases. They hang on the published name and the seed alone, so that it changes
// nothing how tensors are stacked or which of them are made.
//
// Threads: one caller; the work is shared by the compute threads.
#pragma once

#include <cstdint>

#include "runtime/parameter.h"

namespace fathom {

// Rows [row, row + rows) of a part, contiguous in `out`. `range` is the standard deviation.
void initial_rows(const ParameterPart& part, uint64_t seed, double range, int64_t row, int64_t rows,
                  float* out);

}  // namespace fathom
