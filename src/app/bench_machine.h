// What this machine can do at best, measured: the ceilings that bench rows are judged by.
//
// Threads: the computing one.
#pragma once

#include "backend/device.h"
#include "io/json.h"

namespace fathom {

struct MachinePeaks {
  double fma_gflops = 0;  // f32 fused multiply-adds, two operations each, with the device's threads
                          // and instruction set
  double tile_gflops = 0;    // bf16 operands on AMX tiles; 0 where there are none
  double read_gbytes_s = 0;  // from memory
  double copy_gbytes_s = 0;  // reads and writes counted

  // The ceiling of the device's products.
  double product_gflops(const Device& device) const;
};

MachinePeaks measure_peaks(const Device& device);

// {"cpu", "isa", "threads", "compiler", "version"}
Json machine_json(const Device& device);

}  // namespace fathom
