// fathom grpo: reinforcement learning on generated problems, from a model folder.
#include "align/grpo_run.h"
#include "app/commands.h"
#include "app/device_flags.h"
#include "app/earlier_checkpoint.h"
#include "app/field_flags.h"
#include "app/progress_style.h"
#include "base/stop.h"
#include "demo/demo_view.h"

namespace fathom {
namespace {

struct GrpoFlags {
  FieldFlags<GrpoRunConfig> fields;
  bool json = false;
  DeviceFlags device;
};

int grpo(const Command& command, const GrpoFlags& flags) {
  GrpoRunConfig config;
  set_given_fields(command, flags.fields, config);
  Device device = open_device(flags.device);
  install_stop_handlers();
  const RunResult result = with_checkpoint_hint(config.out, /*resumes=*/true, [&] {
    return run_grpo(config, device.kernels(), device.memory(),
                    while_output_is_read(demo_events(progress_style(flags.json))));
  });
  return result.stopped ? 128 + result.stop_signal : 0;
}

}  // namespace

void add_grpo_command(CommandLine& line) {
  Command& command =
      line.add("grpo", "reinforcement learning on generated problems with checked answers");
  auto flags = std::make_shared<GrpoFlags>();
  add_field_flags(command, flags->fields);
  command.flag("--json", flags->json, "JSON lines on standard output");
  flags->device.precision_choice = PrecisionChoice::kOnlyF32;
  add_device_flags(command, flags->device);
  command
      .example(
          "fathom grpo --init runs/demo-1/chapters/cold_start --tasks modsum=32 --steps 40 --out "
          "runs/grpo")
      .example(
          "fathom grpo --init runs/demo-1 --tasks add=32 --tasks sort=32 --lr 5e-5 --out "
          "runs/two-tasks")
      .example("fathom grpo --init FOLDER --reward random --out runs/control");
  command.on_run([&command, flags] { return grpo(command, *flags); });
}

}  // namespace fathom
