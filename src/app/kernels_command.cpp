// fathom kernels: which version of each kernel runs here, why, and how fast it is.
#include <iostream>

#include "app/bench_machine.h"
#include "app/bench_timing.h"
#include "app/commands.h"
#include "app/device_flags.h"
#include "app/terminal.h"
#include "ops/bench_rows.h"

namespace fathom {
namespace {

constexpr TimingBudget kQuick{0.03, 3};

struct KernelsFlags {
  bool json = false;
  DeviceFlags device;
};

struct Rate {
  std::string shape, text;  // "348.2 GFLOP/s"
  double gflops = 0, gbytes_s = 0;
};

// The first bench row of the op, timed briefly; nothing where it has none.
std::optional<Rate> measure_rate(const std::vector<BenchRow>& rows, const std::string& op,
                                 Device& device) {
  for (const BenchRow& row : rows) {
    if (row.op != op) continue;
    Pass pass = device.pass();
    const Timing timing = time_work(row.prepare(pass), kQuick);
    Rate rate{row.shape, "", 1e-3 * row.flops / timing.median_us,
              1e-3 * row.bytes / timing.median_us};
    rate.text =
        row.flops > 0 ? fixed(rate.gflops, 1) + " GFLOP/s" : fixed(rate.gbytes_s, 1) + " GB/s";
    return rate;
  }
  return std::nullopt;
}

Json choice_json(const KernelChoice& choice, const std::optional<Rate>& rate) {
  Json json =
      Json::object({{"op", choice.op}, {"version", choice.version}, {"reason", choice.reason}});
  json["shape"] = rate ? Json(rate->shape) : Json();
  json["gflops"] = rate && rate->gflops > 0 ? Json(rate->gflops) : Json();
  json["gbytes_s"] = rate && rate->gbytes_s > 0 ? Json(rate->gbytes_s) : Json();
  return json;
}

std::string choice_line(const KernelChoice& choice, const std::optional<Rate>& rate) {
  const auto column = [](const std::string& text, size_t width) {
    return text + std::string(text.size() < width ? width - text.size() : 1, ' ');
  };
  return column(choice.op, 26) + column(choice.version, 9) + column(rate ? rate->text : "", 16) +
         column(rate ? rate->shape : "", 20) + choice.reason + "\n";
}

int show(const KernelsFlags& flags) {
  Device device = open_device(flags.device);
  bind_threads(device.threads());
  const std::vector<BenchRow> rows = all_bench_rows();
  Json json = machine_json(device);
  if (!flags.json) {
    print(concat(json.string_at("cpu"), ", ", json.string_at("isa"), ", ", device.threads(),
                 " threads, arithmetic ", name(device.precision()), "\n"));
  }
  Json list = Json::array();
  for (const KernelChoice& choice : device.choices()) {
    const std::optional<Rate> rate = measure_rate(rows, choice.op, device);
    if (flags.json) {
      list.push_back(choice_json(choice, rate));
    } else {
      print(choice_line(choice, rate));
    }
  }
  if (!flags.json) return 0;
  json["precision"] = name(device.precision());
  json["kernels"] = std::move(list);
  print(json.dump() + "\n");
  return 0;
}

}  // namespace

void add_kernels_command(CommandLine& line) {
  Command& command = line.add("kernels", "which version runs for each op here, and why");
  auto flags = std::make_shared<KernelsFlags>();
  command.flag("--json", flags->json, "one JSON object");
  add_device_flags(command, flags->device);
  command.example("fathom kernels").example("fathom kernels --isa avx2 --threads 1");
  command.on_run([flags] { return show(*flags); });
}

}  // namespace fathom
