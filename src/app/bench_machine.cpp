#include "app/bench_machine.h"

#include "base/cpu.h"
#include "base/text.h"
#include "ops/matmul/kernels.h"

namespace fathom {

MachinePeaks measure_peaks(const Device& device) {
  MachinePeaks peaks;
  peaks.fma_gflops = measure_fma_peak(device.cpu());
  peaks.tile_gflops = measure_tile_peak(device.cpu());
  const MemoryBandwidth memory = measure_memory_bandwidth();
  peaks.read_gbytes_s = memory.read_gbytes_s;
  peaks.copy_gbytes_s = memory.copy_gbytes_s;
  return peaks;
}

double MachinePeaks::product_gflops(const Device& device) const {
  return device.precision() == Precision::kBF16 ? tile_gflops : fma_gflops;
}

Json machine_json(const Device& device) {
  return Json::object({{"version", FATHOM_VERSION},
                       {"cpu", device.cpu().model_name},
                       {"isa", name(best_isa(device.cpu()))},
                       {"threads", device.threads()},
                       {"compiler", concat("gcc ", __VERSION__)}});
}

}  // namespace fathom
