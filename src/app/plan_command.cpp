// fathom plan: what a model costs to train and run, from its config alone.
#include "app/commands.h"
#include "app/inputs.h"
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
  std::string path, html, loads, prices;
  double tokens = 0, gpu_hours_per_trillion = 0, dollars_per_gpu_hour = kDollarsPerGpuHour, mfu = 0;
  // 0: not given
  int64_t gpus = 0, pipeline_stages = 0, expert_ranks = 0, microbatches = 0, vocab_size = 0,
          accelerators = 0, weight_bits = 0, replicas = 0, expert_gpus = 0, expert_nodes = 0;
  PlanInputs inputs;  // what needs no telling apart from "not given"
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

// [[load of each expert] for each layer], or an object that holds it as "loads".
std::vector<std::vector<double>> read_loads(const std::string& path) {
  const Json json = parse_json(read_input(path), name_of_input(path), ErrorCode::kUsage);
  const Json* found = json.is_object() ? json.find("loads") : &json;
  if (found == nullptr)
    fail(ErrorCode::kUsage, name_of_input(path), ": expected a list, or an object with \"loads\"");
  std::vector<std::vector<double>> loads;
  for (const Json& layer : found->items("loads")) {
    loads.emplace_back();
    for (const Json& load : layer.items("a layer's loads"))
      loads.back().push_back(load.as_double("a load"));
  }
  return loads;
}

PlanInputs inputs_of(const PlanFlags& flags, const Command& command) {
  PlanInputs inputs = flags.inputs;
  const auto set = [&](const char* flag, auto& input, auto value) {
    if (command.given(flag)) input = value;
  };
  set("--tokens", inputs.tokens, flags.tokens);
  set("--gpu-hours-per-trillion", inputs.gpu_hours_per_trillion, flags.gpu_hours_per_trillion);
  set("--dollars-per-gpu-hour", inputs.dollars_per_gpu_hour, flags.dollars_per_gpu_hour);
  set("--mfu", inputs.mfu, flags.mfu);
  set("--gpus", inputs.gpus, flags.gpus);
  set("--pipeline-stages", inputs.pipeline_stages, flags.pipeline_stages);
  set("--expert-ranks", inputs.expert_ranks, flags.expert_ranks);
  set("--microbatches", inputs.microbatches, flags.microbatches);
  set("--accelerators", inputs.accelerators, flags.accelerators);
  set("--weight-bits", inputs.weight_bits, flags.weight_bits);
  set("--replicas", inputs.replicas, flags.replicas);
  set("--expert-gpus", inputs.expert_gpus, flags.expert_gpus);
  set("--expert-nodes", inputs.expert_nodes, flags.expert_nodes);
  if (!flags.loads.empty()) inputs.expert_loads = read_loads(flags.loads);
  return inputs;
}

int show_plan(const PlanFlags& flags, const Command& command) {
  PlanInputs inputs = inputs_of(flags, command);
  PriceBook own_prices;  // outlives the plan, which refers to it
  if (!flags.prices.empty()) {
    own_prices = parse_prices(parse_json(read_input(flags.prices), flags.prices, ErrorCode::kUsage),
                              flags.prices);
    inputs.prices = &own_prices;
  }
  const Plan plan = make_plan(flags.path, config_of(flags), inputs);
  const std::vector<PlanSection> sections = plan_sections(plan);
  if (!flags.html.empty()) write_plan_page(plan, sections, flags.html);
  print(flags.json ? plan_json(plan).dump() + "\n" : visible(plan_text(plan, sections)));
  return 0;
}

void add_training_flags(Command& command, PlanFlags& flags) {
  command.option("--tokens", flags.tokens, "training tokens, such as 14.8e12")
      .option("--like", flags.inputs.like,
              "published run whose rate is assumed: v3, v2, llm-67b, r1 (default: nearest in kind)")
      .option("--gpu-hours-per-trillion", flags.gpu_hours_per_trillion,
              "GPU-hours for a trillion tokens, in place of that rate")
      .option("--mfu", flags.mfu, "or the share of the peak that training reaches, such as 0.4")
      .option("--dollars-per-gpu-hour", flags.dollars_per_gpu_hour, "rental price")
      .option("--trained-on", flags.inputs.trained_on,
              "accelerator, at the utilisation of the H800: h800, h100, h200 or a100")
      .option("--gpus", flags.gpus, "GPUs that train (0: those of the published run)")
      .option("--pipeline-stages", flags.pipeline_stages,
              "stages of the pipeline (0: as published)")
      .option("--expert-ranks", flags.expert_ranks,
              "GPUs over which the experts of a stage are divided (0: as published)")
      .option("--microbatches", flags.microbatches,
              "micro-batches of a step in one pipeline (0: its share of the published step)")
      .option("--vocab-size", flags.vocab_size, "vocabulary in place of the config's (0: that)");
}

void add_serving_flags(Command& command, PlanFlags& flags) {
  command.option("--accelerator", flags.inputs.accelerator, "that serves: h200, h800, h100 or a100")
      .option("--accelerators", flags.accelerators, "how many (0: the fewest that hold the model)")
      .option("--weight-bits", flags.weight_bits, "16, 8 or 4 (0: as published)")
      .option("--context", flags.inputs.context_tokens, "tokens in the cache of each sequence")
      .option("--expert-loads", flags.loads, "JSON file: for each layer a list of loads")
      .option("--replicas", flags.replicas, "expert slots of all GPUs (0: one redundant a GPU)")
      .option("--expert-gpus", flags.expert_gpus, "GPUs that hold experts (0: up to 32)")
      .option("--expert-nodes", flags.expert_nodes, "nodes they stand in (0: of eight GPUs)")
      .option("--prices", flags.prices, "price file in place of the built-in one (docs/plan.md)")
      .option("--price-date", flags.inputs.price_date,
              "day whose prices are compared (default: of the model's newest price)")
      .option("--price-model", flags.inputs.price_model, "name in the price file to compare");
}

}  // namespace

void add_plan_command(CommandLine& line) {
  Command& command =
      line.add("plan", "what a model costs to train and to run, from its config alone");
  auto flags = std::make_shared<PlanFlags>();
  command.positional("model", flags->path, "preset, model folder, or config.json");
  add_training_flags(command, *flags);
  add_serving_flags(command, *flags);
  command.flag("--json", flags->json, "one JSON object")
      .option("--html", flags->html, "also write the plan as a page to this file");
  command.example("fathom plan v3")
      .example("fathom plan models/nano/config.json --tokens 1e9 --like v3")
      .example("fathom plan v2 --json")
      .example("fathom plan v3 --html plan.html --prices my-prices.json");
  command.on_run([flags, &command] { return show_plan(*flags, command); });
}

}  // namespace fathom
