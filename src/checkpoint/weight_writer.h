// Writing the weights of a model folder piece by piece, so that no whole model need be in memory.
//
// Threads: one caller; rounding to FP8 is shared by the compute threads.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace fathom {

// A published tensor: a vector, or a matrix whose rows are asked for in pieces, in any order and
// more than once.
struct WrittenTensor {
  std::string name;
  Shape shape;
  DType dtype = DType::kF32;  // kF32, kBF16, kF16; kF8E4M3 has scales written beside it
  // f32 values of rows [row, row + rows) to `out`, contiguous.
  std::function<void(int64_t row, int64_t rows, float* out)> read;
};

struct WeightFiles {
  int64_t shard_bytes = 0;    // 0: one file; else the data of a file stays below this where one
                              // tensor does not exceed it, and an index names the files
  bool power_of_two = false;  // FP8 scales (checkpoint/fp8_weights.h)
};

// Writes FOLDER/model.safetensors, or shards in the order of `tensors` and their index. Files are
// durable when it returns; what was begun is removed where it throws.
void write_weights(const std::vector<WrittenTensor>& tensors, const std::string& folder,
                   const WeightFiles& files = {});

}  // namespace fathom
