#include "app/device_flags.h"

#include "base/cpu.h"
#include "base/error.h"
#include "base/team.h"

namespace fathom {
namespace {

constexpr int64_t kMostThreads = 1024;
constexpr int64_t kMostMemoryMb = 1000000000;

Precision parse_precision(const std::string& precision) {
  if (precision == "f32") return Precision::kF32;
  if (precision == "bf16") return Precision::kBF16;
  if (precision == "fp8")
    fail(ErrorCode::kUsage, "--precision fp8 is not supported so far; f32 and bf16 are");
  fail(ErrorCode::kUsage, "--precision is '", precision, "'; expected auto, f32 or bf16");
}

void check_threads(int64_t threads) {
  if (threads < 0 || threads > kMostThreads) {
    fail(ErrorCode::kUsage, "--threads is ", threads, "; expected 1 to ", kMostThreads,
         ", or 0 for all cores");
  }
}

}  // namespace

void add_threads_flag(Command& command, int64_t& threads) {
  command.option("--threads,-t,--cpu-infer", threads, "threads that compute; 0: one for each core");
}

void use_threads(int64_t threads) {
  check_threads(threads);
  set_team_size(threads > 0 ? static_cast<int>(threads) : available_processors());
}

void add_device_flags(Command& command, DeviceFlags& flags, const std::string& precision_alias) {
  const std::string alias = precision_alias.empty() ? "" : "," + precision_alias;
  if (flags.precision_choice != PrecisionChoice::kOfRun) {
    command.option("--precision" + alias, flags.precision,
                   flags.precision_choice == PrecisionChoice::kOnlyF32
                       ? "arithmetic of matrix products: f32, in which sampler and trainer agree"
                       : "arithmetic of matrix products: auto (f32), f32, or bf16 with AMX");
  }
  add_threads_flag(command, flags.threads);
  command
      .option("--isa", flags.isa,
              "highest instruction set to use: auto, plain, avx2, avx512 or amx")
      .option("--memory-mb", flags.memory_mb,
              "refuse to take more memory than this; 0: what the machine has");
}

Device open_device(const DeviceFlags& flags) {
  DeviceConfig config;
  check_threads(flags.threads);
  if (flags.memory_mb < 0 || flags.memory_mb > kMostMemoryMb) {
    fail(ErrorCode::kUsage, "--memory-mb is ", flags.memory_mb, "; expected 1 to ", kMostMemoryMb,
         ", or 0 for what the machine has");
  }
  if (flags.isa != "auto") config.isa = parse_isa(flags.isa);
  if (flags.precision != "auto") {
    config.precision = parse_precision(flags.precision);
  } else if (flags.precision_choice == PrecisionChoice::kOfRun) {
    config.precision = fastest_precision(config.isa);
  }
  if (flags.precision_choice == PrecisionChoice::kOnlyF32 && config.precision != Precision::kF32) {
    fail(ErrorCode::kUsage, "--precision is '", flags.precision,
         "'; reinforcement learning needs f32: the sampler and the trainer compute in different "
         "forms, which agree on log-probabilities only there");
  }
  config.threads = static_cast<int>(flags.threads);
  config.memory_limit = static_cast<size_t>(flags.memory_mb) * 1000000;
  config.memory_limit_name = "--memory-mb";
  return Device::open(config);
}

}  // namespace fathom
