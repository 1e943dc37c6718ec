// The device that whole-model tests compute on. FATHOM_TEST_ISA caps its kernels, so that one
// machine tests every path.
#pragma once

#include <cstdlib>

#include "backend/device.h"

namespace fathom {

inline Device test_device(size_t memory_limit = 0) {
  DeviceConfig config;
  config.memory_limit = memory_limit;
  if (const char* isa = std::getenv("FATHOM_TEST_ISA")) config.isa = parse_isa(isa);
  return Device::open(config);
}

}  // namespace fathom
