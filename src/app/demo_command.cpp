// fathom demo: from a blank model to reasoning, and a conversation with it.
#include "app/chat_session.h"
#include "app/commands.h"
#include "app/device_flags.h"
#include "app/progress_style.h"
#include "app/reply_printer.h"
#include "base/stop.h"
#include "demo/demo.h"
#include "demo/demo_view.h"
#include "io/files.h"

namespace fathom {
namespace {

struct DemoFlags {
  uint64_t seed = 1;
  std::string out;
  bool quick = false, no_control = false, yes = false, json = false;
  DeviceFlags device;
};

DemoConfig demo_config(const DemoFlags& flags) {
  DemoConfig config;
  config.seed = flags.seed;
  config.quick = flags.quick;
  config.control = !flags.no_control;
  config.out =
      flags.out.empty() ? concat("runs/", flags.quick ? "quick-" : "demo-", flags.seed) : flags.out;
  return config;
}

int talk(const std::string& folder, Device& device) {
  const LoadedModel model = load_model(folder, device.memory(), WeightsFor::kInference);
  ChatSettings settings;
  settings.thinking =
      choose_thinking_style(/*show=*/false, /*hide=*/false);  // dimmed on a terminal
  settings.remember = false;  // the model has only seen single questions
  settings.samples = {"3+9+8+2+5+9 mod 10", "80+70", "make 30 from 6 1 5"};
  return chat_session(model, device, settings);
}

int demo(const DemoFlags& flags) {
  const DemoConfig config = demo_config(flags);
  Device device = open_device(flags.device);
  install_stop_handlers();
  const RunResult result = run_demo(config, device.kernels(), device.memory(),
                                    while_output_is_read(demo_events(progress_style(flags.json))));
  if (result.stopped) return 128 + result.stop_signal;
  const bool is_watched = input_is_terminal() && output_is_terminal();
  if (flags.yes || flags.json || !is_watched) return 0;
  return talk(join_path(config.out, "model"), device);
}

}  // namespace

void add_demo_command(CommandLine& line) {
  Command& command =
      line.add("demo", "from a blank model to reasoning in minutes, then a chat with it");
  auto flags = std::make_shared<DemoFlags>();
  command.option("--seed", flags->seed, "of weights, problems and sampling")
      .option("--out", flags->out,
              "folder of the demo; default runs/demo-SEED, with --quick runs/quick-SEED")
      .flag("--quick", flags->quick, "shorter chapters, and no second task")
      .flag("--no-control", flags->no_control, "leave out the control with random rewards")
      .flag("--yes,-y", flags->yes, "no conversation at the end")
      .flag("--json", flags->json, "JSON lines on standard output, no conversation");
  flags->device.precision_choice = PrecisionChoice::kOnlyF32;
  add_device_flags(command, flags->device);
  command.example("fathom demo")
      .example("fathom demo --seed 2 --quick --yes")
      .example("fathom demo --json --out runs/demo > demo.jsonl");
  command.on_run([flags] { return demo(*flags); });
}

}  // namespace fathom
