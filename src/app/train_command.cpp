// fathom train and fathom sft: a run from a TOML file, flags, or both.
#include <iostream>

#include "app/commands.h"
#include "app/device_flags.h"
#include "app/earlier_checkpoint.h"
#include "app/field_flags.h"
#include "app/progress_style.h"
#include "base/stop.h"
#include "train/run.h"
#include "train/run_events.h"

namespace fathom {
namespace {

constexpr const char* kDefaultPreset = "llm-nano";

struct TrainFlags {
  FieldFlags<RunConfig> fields;
  bool dry_run = false, json = false;
  DeviceFlags device;
};

// The preset that was asked for decides the defaults, whether a flag or the run file names it.
RunConfig read_config(RunKind kind, const Command& command, const FieldFlags<RunConfig>& flags) {
  const std::string preset = command.given("--preset")
                                 ? flags.values.preset
                                 : flags.read_run_file().string_or("preset", kDefaultPreset);
  RunConfig config = default_run_config(kind, preset);
  set_given_fields(command, flags, config);
  return config;
}

void print_plan(const Json& plan) {
  const Json& count = plan.at("parameters");
  const auto line = [](const std::string& name, const std::string& value) {
    std::cout << "  " << name << std::string(name.size() < 22 ? 22 - name.size() : 1, ' ') << value
              << "\n";
  };
  line("model", concat(plan.string_at("preset"), " (", plan.string_at("model_type"),
                       "), vocabulary ", plan.int_at("vocab_size")));
  line("parameters", concat(human_count(count.double_at("total")), " in all, ",
                            human_count(count.double_at("active")), " active, ",
                            human_count(count.double_at("multi_token")), " in multi-token heads"));
  line("tokens a step",
       concat(plan.int_at("tokens_per_step"), ", rows of ", plan.int_at("row_tokens")));
  line("data", concat(human_count(plan.double_at("train_tokens")), " tokens to train on, ",
                      human_count(plan.double_at("validation_tokens")), " held out; ",
                      fixed(plan.double_at("passes_over_data"), 2), " passes"));
  line("weights and optimiser", human_bytes(plan.double_at("weights_and_optimizer_bytes")));
  line("peak memory", concat(human_bytes(plan.double_at("peak_memory_bytes")), " (measured)"));
  line("speed", concat(human_count(plan.double_at("tokens_per_s")), " tokens/s (measured)"));
  line("expected time", human_seconds(plan.double_at("expected_s")));
}

void print_machine(const Device& device, bool json) {
  if (json) {
    std::cout << Json::object({{"event", "machine"},
                               {"precision", name(device.precision())},
                               {"threads", device.threads()}})
                     .dump()
              << std::endl;
  } else {
    std::cout << "products in " << name(device.precision()) << ", " << device.threads()
              << (device.threads() == 1 ? " thread" : " threads") << std::endl;
  }
}

int train(RunKind kind, const Command& command, const TrainFlags& flags) {
  RunConfig config = read_config(kind, command, flags.fields);
  DeviceFlags device_flags = flags.device;
  device_flags.precision = config.precision;
  Device device = open_device(device_flags);
  config.precision = name(device.precision());  // a run keeps to what auto was when it began
  if (flags.dry_run) {
    const Json plan = plan_run(kind, config, device.kernels(), device.memory(), true);
    if (flags.json) {
      std::cout << plan.dump() << "\n";
    } else {
      print_plan(plan);
    }
    return 0;
  }
  install_stop_handlers();
  print_machine(device, flags.json);
  const RunResult result = with_checkpoint_hint(config.out, /*resumes=*/true, [&] {
    return run_training(kind, config, device.kernels(), device.memory(),
                        while_output_is_read(print_events(progress_style(flags.json))));
  });
  return result.stopped ? 128 + result.stop_signal : 0;
}

void add_training(CommandLine& line, RunKind kind, const std::string& name,
                  const std::string& summary, const std::vector<std::string>& examples) {
  Command& command = line.add(name, summary);
  auto flags = std::make_shared<TrainFlags>();
  flags->fields.values = default_run_config(kind, kDefaultPreset);
  add_field_flags(command, flags->fields);
  command.flag("--dry-run", flags->dry_run, "print sizes, memory and expected time; train nothing");
  command.flag("--json", flags->json, "JSON lines on standard output");
  flags->device.precision_choice = PrecisionChoice::kOfRun;
  add_device_flags(command, flags->device);
  for (const std::string& example : examples) command.example(example);
  command.on_run([kind, &command, flags] { return train(kind, command, *flags); });
}

}  // namespace

void add_train_command(CommandLine& line) {
  add_training(
      line, RunKind::kTrain, "train", "pretrain a model on text",
      {"fathom train --preset llm-nano --data shakespeare.txt --out runs/nano",
       "fathom train --preset v3-nano --data corpus/ --out runs/v3 --steps 4000 --save-every 500",
       "fathom train runs/v3/run.toml --dry-run"});
}

void add_sft_command(CommandLine& line) {
  add_training(line, RunKind::kTune, "sft", "tune a model on conversations, loss on answers only",
               {"fathom sft --init runs/nano --data conversations.jsonl --out runs/tuned"});
}

}  // namespace fathom
