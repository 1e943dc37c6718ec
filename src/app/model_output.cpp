#include "app/model_output.h"

#include <iostream>
#include <stdexcept>
#include <utility>

#include "app/bytes_progress.h"
#include "app/device_flags.h"
#include "app/terminal.h"
#include "base/stop.h"
#include "io/files.h"

namespace fathom {
namespace {

struct WritingStopped {};

constexpr std::pair<std::string_view, DType> kDTypes[] = {
    {"f32", DType::kF32}, {"bf16", DType::kBF16}, {"f16", DType::kF16}, {"fp8", DType::kF8E4M3}};
constexpr std::pair<std::string_view, double> kUnits[] = {
    {"", 1},       {"B", 1},         {"KB", 1e3},     {"MB", 1e6}, {"GB", 1e9},
    {"TB", 1e12},  {"K", 1e3},       {"M", 1e6},      {"G", 1e9},  {"T", 1e12},
    {"KiB", 1024}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};

}  // namespace

std::optional<DType> StorageFlags::wanted_dtype() const {
  if (dtype.empty()) return std::nullopt;
  for (const auto& [name, known] : kDTypes) {
    if (name == dtype) return known;
  }
  fail(ErrorCode::kUsage, "--dtype is '", dtype, "'; expected f32, bf16, f16 or fp8");
}

bool StorageFlags::power_of_two() const {
  if (scale_fmt != "f32" && scale_fmt != "ue8m0")
    fail(ErrorCode::kUsage, "--scale-fmt is '", scale_fmt, "'; expected f32 or ue8m0");
  return scale_fmt == "ue8m0";
}

int64_t StorageFlags::shard_bytes() const {
  return shard_size.empty() ? 0 : parse_size("--shard-size", shard_size);
}

void add_storage_flags(Command& command, StorageFlags& flags, const std::string& dtype_default) {
  command
      .option("--dtype", flags.dtype,
              concat("storage of the weights: f32, bf16, f16, or fp8 as DeepSeek-V3 is published; ",
                     dtype_default))
      .option("--scale-fmt", flags.scale_fmt,
              "scales of fp8: f32, or ue8m0 for powers of two as in DeepSeek-V3.1")
      .option("--shard-size,--max-shard-size,--split-max-size", flags.shard_size,
              "write files of at most this size, such as 5GB, and their index; else one file");
  add_threads_flag(command, flags.threads);
}

int64_t parse_size(const std::string& flag, const std::string& text) {
  size_t digits = 0;
  if (text.find_first_of("xX") != text.npos)
    fail(ErrorCode::kUsage, flag, " is '", text, "'; expected a decimal size such as 5GB");
  double number = -1;
  try {
    number = std::stod(text, &digits);
  } catch (const std::logic_error&) {
    // No number at all, or beyond any.
  }
  for (const auto& [unit, factor] : kUnits) {
    const double bytes = number * factor;
    if (text.substr(digits) == unit && bytes >= 1 && bytes < 9e18)
      return static_cast<int64_t>(bytes);
  }
  fail(ErrorCode::kUsage, flag, " is '", text, "'; expected a size such as 5GB, 500MB or 1GiB");
}

void check_disk_room(const std::string& out, uint64_t bytes) {
  const uint64_t free = free_disk_bytes(out);
  if (bytes <= free) return;
  fail(ErrorCode::kRuntime, "disk: ", out, " would take ", human_bytes(static_cast<double>(bytes)),
       "; expected at most the ", human_bytes(static_cast<double>(free)),
       " that are free there. Free some space or choose a folder on another disk.");
}

int write_model_folder(
    const std::string& out, int64_t threads,
    const std::function<void(const std::string& folder, const ByteProgress& progress)>& write) {
  use_threads(threads);
  install_stop_handlers();
  try {
    BytesProgressLine line(std::cerr, progress_style({}), BytesProgressLine::kLargeBytes, "writing",
                           out);
    write_directory(out, [&](const std::string& folder) {
      write(folder, [&](uint64_t done, uint64_t total) {
        if (stop_requested()) throw WritingStopped();
        line.show(done, total);
      });
    });
  } catch (const WritingStopped&) {
    std::cerr << "stopped; nothing was written to " << visible(out) << "\n";
    return 128 + stop_signal();
  }
  return 0;
}

}  // namespace fathom
