// The flags about the machine that all computing commands share, and the device they open.
#pragma once

#include <cstdint>
#include <string>

#include "app/command_line.h"
#include "backend/device.h"

namespace fathom {

enum class PrecisionChoice {
  kOffered,  // auto is f32, which repeats on every machine
  kOnlyF32,  // a sampler and a trainer must agree on log-probabilities
  kOfRun,    // a setting of the run, not a flag of the device; auto is the fastest
};

struct DeviceFlags {
  int64_t threads = 0;  // 0: every core this process may use
  std::string isa = "auto";
  std::string precision = "auto";
  int64_t memory_mb = 0;  // 0: what the machine has
  PrecisionChoice precision_choice = PrecisionChoice::kOffered;
};

// `precision_alias` is another name of --precision, such as "--dtype", or "".
void add_device_flags(Command& command, DeviceFlags& flags,
                      const std::string& precision_alias = "");

// For commands that compute without a device.
void add_threads_flag(Command& command, int64_t& threads);
void use_threads(int64_t threads);

// Throws Error(kUsage) where this machine or this build cannot do what the flags ask for.
Device open_device(const DeviceFlags& flags);

}  // namespace fathom
