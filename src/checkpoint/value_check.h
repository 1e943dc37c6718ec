// Reading every value of a folder's weights, to find damage that sizes and names do not show.
//
// Threads: one caller; the work is shared by the compute threads.
#pragma once

#include "checkpoint/weight_writer.h"
#include "io/safetensors_folder.h"

namespace fathom {

// Error(kModel) names the first tensor that holds infinity or NaN, and the element; for scales of
// FP8 also 0 and what is negative. At the speed of the disk, or of memory.
void check_values(const SafetensorsFolder& weights, const ByteProgress& progress = {});

}  // namespace fathom
