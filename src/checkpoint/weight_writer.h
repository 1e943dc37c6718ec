// Writing the weights of a model folder piece by piece, so that no whole model need be in memory.
//
// Threads: one caller; rounding is shared by the compute threads.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/safetensors.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace fathom {

// Takes the next bytes of tensor `name`.
using TensorSink = std::function<void(std::string_view name, std::span<const std::byte> bytes)>;
// f32 values of rows [row, row + rows) of a tensor to `out`, contiguous. A vector is one row.
using RowReader = std::function<void(int64_t row, int64_t rows, float* out)>;
// Told now and then, and in the end, of the bytes done so far and of all there are. May throw.
using ByteProgress = std::function<void(uint64_t done, uint64_t total)>;

// A tensor to be written, or two: FP8 codes come with their scales.
struct WrittenTensor {
  std::vector<SafetensorSpec> specs;
  std::function<void(const TensorSink& sink)> write;  // all bytes of all of them

  uint64_t bytes() const;
};

// The same bytes in the same type.
WrittenTensor copied_tensor(const SafetensorSpec& spec, std::span<const std::byte> bytes);

// Values rounded to `dtype`: kF32, kBF16, kF16, or kF8E4M3 (checkpoint/fp8_weights.h; then
// `power_of_two` is for its scales). `read` is asked for each row once, in order. A value that
// `dtype` cannot hold (f16 ends at 65504; FP8 has no infinity) is an Error(kModel).
WrittenTensor rounded_tensor(const std::string& name, const Shape& shape, DType dtype,
                             RowReader read, bool power_of_two = false);

struct WeightFiles {
  std::string single = "model.safetensors";
  // Where the tensors are more than that: shards below it, in the order of the tensors, and their
  // index instead; a tensor larger than a shard has one of its own. 0: always one file.
  int64_t shard_bytes = 0;
};

// Files are durable when it returns; the file that was begun is removed where it throws.
void write_weights(const std::vector<WrittenTensor>& tensors, const std::string& folder,
                   const WeightFiles& files = {}, const ByteProgress& progress = {});

}  // namespace fathom
