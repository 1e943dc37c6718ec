// fathom bench: speed of each kernel, of training steps and of rollouts, against what this machine
// can do.
#include <iostream>

#include "app/bench_machine.h"
#include "app/bench_model.h"
#include "app/bench_timing.h"
#include "app/commands.h"
#include "app/device_flags.h"
#include "app/terminal.h"
#include "base/cpu.h"
#include "base/stop.h"
#include "ops/bench_rows.h"

namespace fathom {
namespace {

constexpr double kForeignLimit = 0.1;  // cores; a row with more was disturbed

struct BenchFlags {
  std::string filter, model;
  bool json = false, peaks = false, rollout = false;
  double seconds = 0;
  int64_t sequences = 0, length = 0;
  DeviceFlags device;
};

std::string left(const std::string& text, size_t width) {
  return text + std::string(text.size() < width ? width - text.size() : 1, ' ');
}
std::string right(const std::string& text, size_t width) {
  return std::string(text.size() < width ? width - text.size() : 1, ' ') + text;
}

std::string number(const Json& value, int digits) {
  return value.is_null() ? "-" : fixed(value.as_double(), digits);
}

bool disturbed(const Json& row) {
  const Json& load = row.at("foreign_load");
  return !load.is_null() && load.as_double() > kForeignLimit;
}

std::string header_line() {
  return left("op", 26) + left("shape", 30) + right("median us", 12) + right("p95 us", 12) +
         right("GFLOP/s", 10) + right("GB/s", 9) + right("of peak", 9) + right("foreign", 9) + "\n";
}

std::string row_line(const Json& row) {
  const Json& share = row.at("of_peak");
  std::string line =
      left(row.string_at("op"), 26) + left(row.string_at("shape"), 30) +
      right(number(row.at("median_us"), 1), 12) + right(number(row.at("p95_us"), 1), 12) +
      right(number(row.at("gflops"), 1), 10) + right(number(row.at("gbytes_s"), 1), 9) +
      right(share.is_null() ? "-" : fixed(100 * share.as_double(), 0) + " %", 9) +
      right(number(row.at("foreign_load"), 2), 9) + (disturbed(row) ? "  disturbed" : "") + "\n";
  if (const Json* speed = row.find("tokens_per_s")) {
    line += concat("    ", human_count(speed->as_double()), " tokens/s, peak memory ",
                   human_bytes(row.double_at("peak_memory_bytes")));
    if (row.contains("optimizer_us")) {
      line += concat(", optimiser ", fixed(row.double_at("optimizer_us"), 0), " us at ",
                     fixed(row.double_at("optimizer_gbytes_s"), 1), " GB/s");
    } else {
      line += concat(", prompts ", fixed(row.double_at("prefill_us"), 0), " us, decoding ",
                     fixed(row.double_at("decode_us"), 0), " us");
    }
    line += "\n";
  }
  return line;
}

void print_row(const Json& row, bool json) { print(json ? row.dump() + "\n" : row_line(row)); }

Json peak_row(const std::string& op, const char* rate, double value, const Device& device) {
  Json row =
      Json::object({{"op", op}, {"shape", ""}, {"dtype", "f32"}, {"threads", device.threads()}});
  for (const char* key : {"median_us", "p95_us", "gflops", "gbytes_s", "of_peak", "foreign_load"})
    row[key] = nullptr;
  row[rate] = value;
  return row;
}

void print_peaks(const MachinePeaks& peaks, const Device& device, bool json) {
  print_row(peak_row("peak_fma", "gflops", peaks.fma_gflops, device), json);
  if (peaks.tile_gflops > 0) {
    Json tiles = peak_row("peak_amx", "gflops", peaks.tile_gflops, device);
    tiles["dtype"] = "bf16";
    print_row(tiles, json);
  }
  print_row(peak_row("peak_read", "gbytes_s", peaks.read_gbytes_s, device), json);
  print_row(peak_row("peak_copy", "gbytes_s", peaks.copy_gbytes_s, device), json);
}

// Compute-bound rows are judged by the ceiling of the device's products, the others by the
// memory's.
Json measure(const BenchRow& bench, Device& device, const MachinePeaks& peaks,
             const TimingBudget& budget) {
  Pass pass = device.pass();
  const Timing timing = time_work(bench.prepare(pass), budget);
  const double gflops = 1e-3 * bench.flops / timing.median_us,
               gbytes_s = 1e-3 * bench.bytes / timing.median_us;
  Json row = Json::object({{"op", bench.op},
                           {"shape", bench.shape},
                           {"dtype", bench.dtype},
                           {"threads", device.threads()}});
  row["median_us"] = timing.median_us;
  row["p95_us"] = timing.p95_us;
  row["gflops"] = bench.flops > 0 ? Json(gflops) : Json();
  row["gbytes_s"] = bench.bytes > 0 ? Json(gbytes_s) : Json();
  row["of_peak"] =
      bench.flops > 0 ? gflops / peaks.product_gflops(device) : gbytes_s / peaks.read_gbytes_s;
  row["foreign_load"] = timing.foreign_load < 0 ? Json() : Json(timing.foreign_load);
  return row;
}

std::vector<BenchRow> chosen_rows(const std::string& filter) {
  std::vector<BenchRow> rows = all_bench_rows();
  std::vector<std::string> ops;
  for (const BenchRow& row : rows) {
    if (ops.empty() || ops.back() != row.op) ops.push_back(row.op);
  }
  std::erase_if(rows, [&](const BenchRow& row) {
    return concat(row.op, " ", row.shape).find(filter) == std::string::npos;
  });
  if (rows.empty())
    fail(ErrorCode::kUsage, "bench: no row matches '", filter, "'", did_you_mean(filter, ops));
  return rows;
}

void check_seconds(double seconds) {
  if (seconds >= 0 && seconds <= 3600) return;  // not so where it is no number
  fail(ErrorCode::kUsage, "--seconds is ", seconds, "; expected 0 to 3600");
}

ModelBenchOptions model_options(const BenchFlags& flags) {
  ModelBenchOptions options;
  options.preset = flags.model;
  options.sequences = flags.sequences;
  options.length = flags.length;
  if (flags.seconds > 0) options.seconds = flags.seconds;
  return options;
}

void check_model_fits(const BenchFlags& flags) {
  const double available = flags.device.memory_mb > 0
                               ? 1e6 * static_cast<double>(flags.device.memory_mb)
                               : static_cast<double>(machine_memory_bytes());
  check_model_fits(model_options(flags),
                   flags.rollout ? ModelBenchKind::kRollout : ModelBenchKind::kTraining, available);
}

int bench_model(Device& device, const BenchFlags& flags) {
  const ModelBenchOptions options = model_options(flags);
  const MachinePeaks peaks = measure_peaks(device);
  const Json row = flags.rollout ? bench_rollout(device, options, peaks)
                                 : bench_training(device, options, peaks);
  print_row(row, flags.json);
  return stop_requested() ? 128 + stop_signal() : 0;
}

int bench(const Command& command, const BenchFlags& flags) {
  if (flags.rollout && flags.model.empty())
    fail(ErrorCode::kUsage, "--rollout needs --model PRESET");
  if (!flags.model.empty() && command.given("filter")) {
    fail(ErrorCode::kUsage, "bench: give a filter for kernels or --model PRESET, not both");
  }
  check_seconds(flags.seconds);
  Device device = open_device(flags.device);
  if (!flags.model.empty()) check_model_fits(flags);
  install_stop_handlers();
  if (!bind_threads(device.threads()))
    std::cerr << "fathom: the threads are not bound to cores of their own; times will vary\n";
  const Json machine = machine_json(device);
  std::cerr << "fathom " << FATHOM_VERSION << ", " << machine.string_at("cpu") << ", "
            << machine.string_at("isa") << ", " << device.threads() << " threads, "
            << machine.string_at("compiler") << "\n";
  if (!flags.json) print(header_line());
  if (!flags.model.empty()) return bench_model(device, flags);
  const std::vector<BenchRow> rows =
      flags.peaks ? std::vector<BenchRow>{} : chosen_rows(flags.filter);
  const MachinePeaks peaks = measure_peaks(device);
  if (flags.peaks || !flags.json) print_peaks(peaks, device, flags.json);
  TimingBudget budget;
  if (flags.seconds > 0) budget.seconds = flags.seconds;
  for (const BenchRow& row : rows) {
    print_row(measure(row, device, peaks, budget), flags.json);
    if (stop_requested()) return 128 + stop_signal();
    if (!output_is_open()) return kReaderLeft;
  }
  return 0;
}

}  // namespace

void add_bench_command(CommandLine& line) {
  Command& command = line.add("bench", "speed against what this machine can do");
  auto flags = std::make_shared<BenchFlags>();
  command.positional("filter", flags->filter, "only rows whose op and shape contain this", false)
      .flag("--peaks", flags->peaks, "only the machine's own ceilings")
      .option("--model", flags->model,
              "a training step of this preset instead of kernels (fathom init --list)")
      .flag("--rollout", flags->rollout,
            "with --model: 64 prompts of 24 tokens, 32 new tokens each")
      .option("--sequences", flags->sequences,
              "with --model: sequences a step; 0: as the preset is trained")
      .option("--length", flags->length, "with --model: tokens a sequence; 0: the context")
      .option("--seconds", flags->seconds, "time for each row; 0: 0.4, or 5 with --model")
      .flag("--json", flags->json, "one JSON object a row");
  add_device_flags(command, flags->device);
  command.example("fathom bench matmul")
      .example("fathom bench --model tiny-moe --json")
      .example("fathom bench --peaks --threads 1");
  command.on_run([&command, flags] { return bench(command, *flags); });
}

}  // namespace fathom
