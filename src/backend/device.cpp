#include "backend/device.h"

#include <utility>

#include "backend/self_check.h"
#include "base/error.h"
#include "base/team.h"

namespace fathom {

const char* name(Precision precision) { return precision == Precision::kBF16 ? "bf16" : "f32"; }

Precision fastest_precision(Isa isa) {
  return capped(detect_cpu(), isa).amx_bf16 && request_amx() ? Precision::kBF16 : Precision::kF32;
}

Device Device::open(const DeviceConfig& config) {
  FATHOM_CHECK(config.threads >= 0, "device: threads is ", config.threads,
               ", expected 1 or more, or 0 for all");
  auto state = std::make_unique<State>();
  state->cpu = capped(detect_cpu(), config.isa);
  state->threads = config.threads > 0 ? config.threads : available_processors();
  state->memory = config.memory_limit > 0
                      ? make_host_allocator(config.memory_limit, config.memory_limit_name)
                      : make_host_allocator(machine_memory_bytes(), "this machine's memory");
  state->kernels = cpu_kernels(state->cpu, &state->choices);
  Device device(std::move(state));
  device.compute_here();
  limit_highway(device.cpu());
  check_products(device.state_->kernels, device.state_->choices);
  if (config.precision == Precision::kBF16) device.use_bf16();
  return device;
}

void Device::use_bf16() {
  if (!state_->cpu.amx_bf16 || !request_amx()) {
    fail(
        ErrorCode::kUsage,
        "precision bf16 needs AMX tiles, which this processor, its system or --isa does not give; ",
        "without them f32 is faster. Use --precision f32");
  }
  state_->precision = Precision::kBF16;
  use_bf16_products(state_->kernels, state_->choices);
  check_products(state_->kernels, state_->choices, reference_bf16_kernels());
}

void Device::compute_here() const { set_team_size(state_->threads); }

}  // namespace fathom
