#include "backend/device.h"

#include <omp.h>

#include <utility>

#include "backend/self_check.h"

namespace fathom {

Device Device::open(const DeviceConfig& config) {
  FATHOM_CHECK(config.threads >= 0, "device: threads is ", config.threads,
               ", expected 1 or more, or 0 for all");
  auto state = std::make_unique<State>();
  state->cpu = capped(detect_cpu(), config.isa);
  state->threads = config.threads > 0 ? config.threads : omp_get_num_procs();
  state->memory = make_host_allocator(config.memory_limit);
  state->kernels = cpu_kernels(state->cpu, &state->choices);
  Device device(std::move(state));
  device.compute_here();
  limit_highway(device.cpu());
  check_products(device.state_->kernels, device.state_->choices);
  return device;
}

void Device::compute_here() const { omp_set_num_threads(state_->threads); }

}  // namespace fathom
