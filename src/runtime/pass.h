// One computation on one device by one thread: everything that an op needs arrives in it.
//
// With a tape each op records its backward; without one it costs a null test. Results are
// bit-identical either way.
#pragma once

#include <cstdint>
#include <vector>

#include "base/random.h"
#include "tensor/tensor.h"

namespace fathom {

struct KernelTable;  // ops/kernel_table.h
class Tape;          // runtime/tape.h
struct Stream;       // a device's queue; null on the CPU

// How many tokens each expert got, by expert layer; added up over microbatches. Null while
// recomputing.
struct PassStats {
  std::vector<std::vector<int64_t>> expert_counts;  // [expert layers][n_routed_experts]
  double balance_loss = 0;  // sum over layers of the sequence-wise balance loss

  void add_expert_counts(size_t layer, const std::vector<int64_t>& counts);
};

// The experts that rows were sent to, by expert layer: written down by a sampling pass, followed by
// a training pass on the same tokens. Two forms of one computation round differently, and a token
// on the edge between two experts would otherwise train another path than the one that was sampled
// (DeepSeek-V3.2, arXiv:2512.02556, "keep routing").
struct RouteLog {
  bool replay = false;  // follow instead of write
  std::vector<std::vector<int32_t>>
      expert;  // [expert layers][rows · k]; −1: the row chooses for itself
};

struct Pass {
  const KernelTable& kernels;
  Allocator& memory;
  Stream* stream = nullptr;
  Tape* tape = nullptr;
  PassStats* stats = nullptr;
  RouteLog* routes =
      nullptr;  // of the main model's layers; null: every row chooses, nothing is written down

  Tensor empty(const Shape& shape, DType dtype) { return Tensor(memory, shape, dtype); }
  Tensor zeros(const Shape& shape, DType dtype);
};

}  // namespace fathom
