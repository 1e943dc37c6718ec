// A machine that computes: its kernels, its memory and its threads.
//
// Threads: one computes (it alone shares tasks with the team); any may read choices().  Lifetime:
// the device outlives every pass and tensor made from it; moving a device keeps their references
// valid.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "backend/cpu_kernels.h"
#include "runtime/pass.h"

namespace fathom {

// The arithmetic of matrix products. Everything else is f32, and so are router logits.
enum class Precision {
  kF32,
  kBF16,  // operands rounded to bf16, sums in f32; needs AMX
};

const char* name(Precision precision);  // "f32", "bf16"
// bf16 where there are AMX tiles and `isa` allows them; without them f32 is faster.
Precision fastest_precision(Isa isa);

struct DeviceConfig {
  Precision precision = Precision::kF32;
  Isa isa = Isa::kAmx;                 // kernels above this are not used
  int threads = 0;                     // 0: all processors that this process may use
  size_t memory_limit = 0;             // bytes; 0: what the machine has
  std::string memory_limit_name = {};  // what set it, for errors: "--memory-mb"
};

class Device {
 public:
  // Chooses kernels and checks each product once. The calling thread is taken for the one that
  // computes. The limit to `isa` holds for the Highway kernels of the whole process, so the device
  // opened last decides.
  static Device open(const DeviceConfig& config = {});

  const KernelTable& kernels() const { return state_->kernels; }
  Allocator& memory() { return *state_->memory; }
  const CpuFeatures& cpu() const { return state_->cpu; }  // as far as `isa` lets it be used
  const std::vector<KernelChoice>& choices() const { return state_->choices; }
  int threads() const { return state_->threads; }
  Precision precision() const { return state_->precision; }  // of the operands of products

  // A pass without tape, statistics or cache.
  Pass pass() { return {state_->kernels, *state_->memory}; }
  // Sets the team of compute threads to this device's number again, where another device changed
  // it.
  void compute_here() const;

 private:
  struct State {
    CpuFeatures cpu;
    KernelTable kernels;
    std::vector<KernelChoice> choices;
    std::unique_ptr<Allocator> memory;
    int threads = 0;
    Precision precision = Precision::kF32;
  };
  explicit Device(std::unique_ptr<State> state) : state_(std::move(state)) {}
  void use_bf16();

  std::unique_ptr<State> state_;
};

}  // namespace fathom
