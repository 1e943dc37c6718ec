// fathom plan: what a model costs to train and run, from its config alone.
#include "app/commands.h"
#include "app/plan_report.h"
#include "app/terminal.h"
#include "checkpoint/credible.h"
#include "checkpoint/model_folder.h"
#include "io/files.h"
#include "model/config_json.h"
#include "model/presets.h"

namespace fathom {
namespace {

struct PlanFlags {
  std::string path, like;
  double tokens = 0, gpu_hours_per_trillion = 0, dollars_per_gpu_hour = kDollarsPerGpuHour, mfu = 0;
  int64_t gpus = 0, vocab_size = 0;
  bool json = false;
};

ModelConfig config_of(const PlanFlags& flags) {
  const std::string& path = flags.path;
  ModelConfig config;
  if (!exists(path) && has_preset(path)) {
    config = model_preset(path).config;
    if (config.vocab_size == 0 && flags.vocab_size == 0)
      fail(ErrorCode::kUsage, "preset ", path,
           " takes its vocabulary from a tokenizer; say how large with --vocab-size");
  } else if (is_directory(path)) {
    config = read_config(join_path(resolve_model_folder(path), "config.json"));
  } else if (exists(path)) {
    config = read_config(path);
  } else {
    model_preset(path);  // throws with the nearest names
  }
  if (flags.vocab_size != 0) config.vocab_size = flags.vocab_size;
  check_config(config);
  check_sizes(config);
  return config;
}

PlanInputs inputs_of(const PlanFlags& flags, const Command& command) {
  PlanInputs inputs;
  if (command.given("--tokens")) inputs.tokens = flags.tokens;
  if (command.given("--gpu-hours-per-trillion"))
    inputs.gpu_hours_per_trillion = flags.gpu_hours_per_trillion;
  if (command.given("--dollars-per-gpu-hour"))
    inputs.dollars_per_gpu_hour = flags.dollars_per_gpu_hour;
  if (command.given("--mfu")) inputs.mfu = flags.mfu;
  if (command.given("--gpus")) inputs.gpus = flags.gpus;
  inputs.like = flags.like;
  return inputs;
}

int show_plan(const PlanFlags& flags, const Command& command) {
  const Plan plan = make_plan(flags.path, config_of(flags), inputs_of(flags, command));
  print(flags.json ? plan_json(plan).dump() + "\n" : visible(plan_text(plan, plan_sections(plan))));
  return 0;
}

}  // namespace

void add_plan_command(CommandLine& line) {
  Command& command =
      line.add("plan", "what a model costs to train and to run, from its config alone");
  auto flags = std::make_shared<PlanFlags>();
  command.positional("model", flags->path, "preset, model folder, or config.json")
      .option("--tokens", flags->tokens, "training tokens, such as 14.8e12")
      .option("--like", flags->like,
              "published run whose rate is assumed: v3, v2, llm-67b, r1 (default: nearest in kind)")
      .option("--gpu-hours-per-trillion", flags->gpu_hours_per_trillion,
              "GPU-hours for a trillion tokens, in place of that rate")
      .option("--mfu", flags->mfu, "or the share of the peak that training reaches, such as 0.4")
      .option("--dollars-per-gpu-hour", flags->dollars_per_gpu_hour, "rental price")
      .option("--gpus", flags->gpus, "GPUs that train (0: those of the published run)")
      .option("--vocab-size", flags->vocab_size, "vocabulary in place of the config's (0: that)")
      .flag("--json", flags->json, "one JSON object");
  command.example("fathom plan v3")
      .example("fathom plan models/nano/config.json --tokens 1e9 --like v3")
      .example("fathom plan v2 --json");
  command.on_run([flags, &command] { return show_plan(*flags, command); });
}

}  // namespace fathom
