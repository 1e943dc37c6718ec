#include "app/device_flags.h"

#include "base/error.h"

namespace fathom {
namespace {

constexpr int64_t kMostThreads = 1024;

Precision parse_precision(const std::string& precision) {
  if (precision == "f32") return Precision::kF32;
  if (precision == "bf16") return Precision::kBF16;
  if (precision == "fp8")
    fail(ErrorCode::kUsage, "--precision fp8 is not supported so far; f32 and bf16 are");
  fail(ErrorCode::kUsage, "--precision is '", precision, "'; expected auto, f32 or bf16");
}

}  // namespace

void add_device_flags(Command& command, DeviceFlags& flags, const std::string& precision_alias) {
  const std::string alias = precision_alias.empty() ? "" : "," + precision_alias;
  command.option("--threads,-t", flags.threads, "threads that compute; 0: one for each core")
      .option("--isa", flags.isa,
              "highest instruction set to use: auto, plain, avx2, avx512 or amx")
      .option("--precision" + alias, flags.precision,
              flags.auto_is_fastest
                  ? "arithmetic of matrix products: auto (bf16 with AMX, else f32), f32 or bf16"
                  : "arithmetic of matrix products: auto (f32), f32, or bf16 with AMX")
      .option("--memory-mb", flags.memory_mb,
              "refuse to take more memory than this; 0: what the machine has");
}

Device open_device(const DeviceFlags& flags) {
  DeviceConfig config;
  if (flags.threads < 0 || flags.threads > kMostThreads) {
    fail(ErrorCode::kUsage, "--threads is ", flags.threads, "; expected 1 to ", kMostThreads,
         ", or 0 for all cores");
  }
  if (flags.memory_mb < 0)
    fail(ErrorCode::kUsage, "--memory-mb is ", flags.memory_mb, "; expected 0 or more");
  if (flags.isa != "auto") config.isa = parse_isa(flags.isa);
  if (flags.precision != "auto") {
    config.precision = parse_precision(flags.precision);
  } else if (flags.auto_is_fastest) {
    config.precision = fastest_precision(config.isa);
  }
  config.threads = static_cast<int>(flags.threads);
  config.memory_limit = static_cast<size_t>(flags.memory_mb) * 1000000;
  return Device::open(config);
}

}  // namespace fathom
