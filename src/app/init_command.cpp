// fathom init: a model folder with random weights.
#include <algorithm>
#include <iostream>

#include "app/commands.h"
#include "app/model_output.h"
#include "app/terminal.h"
#include "checkpoint/credible.h"
#include "checkpoint/model_folder.h"
#include "io/files.h"
#include "model/config_json.h"
#include "model/initial_weights.h"
#include "model/presets.h"
#include "text/tokenizer_presets.h"

namespace fathom {
namespace {

struct InitFlags {
  std::string preset, config, out, tokenizer;
  StorageFlags storage;
  uint64_t seed = 1;
  bool list = false, force = false, json = false;
};

std::string size_text(ModelConfig config) {
  if (config.vocab_size == 0) config.vocab_size = byte_tokenizer().vocab_size();
  const ParameterCount count = count_parameters(config);
  std::string text = human_count(static_cast<double>(count.total));
  if (count.active != count.total)
    text += concat(", ", human_count(static_cast<double>(count.active)), " active");
  return text;
}

int list_presets(bool json) {
  for (const ModelPreset& preset : model_presets()) {
    if (json) {
      const Json line = Json::object({{"name", preset.name},
                                      {"summary", preset.summary},
                                      {"config", config_to_json(preset.config, "float32")}});
      print(line.dump() + "\n");
      continue;
    }
    const size_t pad = preset.name.size() < 22 ? 22 - preset.name.size() : 1;
    print(concat("  ", preset.name, std::string(pad, ' '), preset.summary, " (",
                 size_text(preset.config), ")\n"));
  }
  return 0;
}

// "bytes", "characters:TEXT", a folder; "" makes bytes where the model has room for them.
std::optional<Tokenizer> choose_tokenizer(const InitFlags& flags, const ModelConfig& config) {
  const std::string prefix = "characters:";
  if (flags.tokenizer == "bytes") return byte_tokenizer();
  if (flags.tokenizer.starts_with(prefix)) {
    const std::string characters = flags.tokenizer.substr(prefix.size());
    if (invalid_utf8_offset(characters))
      fail(ErrorCode::kUsage, "--tokenizer: the characters are not UTF-8");
    return character_tokenizer(distinct_characters(characters));
  }
  if (flags.tokenizer == "none") return std::nullopt;
  if (!flags.tokenizer.empty()) {
    if (!is_directory(flags.tokenizer)) {
      fail(ErrorCode::kUsage, "--tokenizer is '", flags.tokenizer,
           "'; expected bytes, characters:TEXT, none, or a folder with tokenizer.json");
    }
    return Tokenizer::load(flags.tokenizer);
  }
  Tokenizer bytes = byte_tokenizer();
  if (config.vocab_size == 0 || config.vocab_size >= bytes.vocab_size()) return bytes;
  return std::nullopt;
}

void join_tokenizer(ModelConfig& config, const Tokenizer& tokenizer) {
  if (config.vocab_size == 0) config.vocab_size = tokenizer.vocab_size();
  if (tokenizer.vocab_size() > config.vocab_size) {
    fail(ErrorCode::kUsage, "the tokenizer has ", tokenizer.vocab_size(),
         " tokens but the model's vocab_size is ", config.vocab_size,
         "; choose a smaller tokenizer or another vocab_size");
  }
  const ControlIds& control = tokenizer.control();
  if (control.bos) config.bos_token_id = *control.bos;
  if (control.eos) config.eos_token_ids = {*control.eos};
  if (control.pad) config.pad_token_id = *control.pad;
}

ModelConfig choose_config(const Command& command, const InitFlags& flags) {
  if (command.given("--preset") == command.given("--config")) {
    fail(ErrorCode::kUsage, "init: give either --preset NAME (--list shows them) or --config FILE");
  }
  return command.given("--preset") ? model_preset(flags.preset).config : read_config(flags.config);
}

// --force replaces a model, never anything else that may lie in a folder.
void check_target(const InitFlags& flags) {
  const std::string& out = flags.out;
  if (!exists(out) || (is_directory(out) && list_directory(out).empty())) return;
  if (!flags.force) {
    fail(ErrorCode::kUsage, "init: ", out,
         " is there already; choose another --out, or --force to replace the model in it");
  }
  constexpr std::string_view kOwn[] = {
      "README.md",      "config.json",           "generation_config.json", "model.safetensors",
      "tokenizer.json", "tokenizer_config.json", kSafetensorsIndexName};
  if (!is_directory(out))
    fail(ErrorCode::kUsage, "init: ", out, " is a file; --force replaces model folders only");
  for (const std::string& name : list_directory(out)) {
    if (std::find(std::begin(kOwn), std::end(kOwn), name) != std::end(kOwn)) continue;
    if (is_shard_name(name)) continue;
    fail(ErrorCode::kUsage, "init: ", join_path(out, name),
         " is not of a model that init made, and --force would remove it; choose another --out");
  }
}

// Weights are made one piece after the other, on their way to the files.
int write_random_model(const ModelConfig& config, const Tokenizer* tokenizer,
                       const InitFlags& flags) {
  const WeightFormat format{flags.storage.wanted_dtype().value_or(DType::kF32),
                            flags.storage.power_of_two(), flags.storage.shard_bytes()};
  Decoder decoder(config);
  check_disk_room(flags.out, saved_bytes(decoder, format));
  const ModelCard card{"Random weights",
                       concat("Made by `fathom init` with seed ", flags.seed, "; not trained.")};
  const PartReader read = [&](const Parameter&, const ParameterPart& part, int64_t row,
                              int64_t rows, float* out) {
    initial_rows(part, flags.seed, config.initializer_range, row, rows, out);
  };
  return write_model_folder(flags.out, flags.storage.threads,
                            [&](const std::string& folder, const ByteProgress& progress) {
                              save_model(decoder, tokenizer, folder, format, card, read, progress);
                            });
}

int init(const Command& command, const InitFlags& flags) {
  if (flags.list) return list_presets(flags.json);
  ModelConfig config = choose_config(command, flags);
  if (flags.storage.power_of_two() && flags.storage.wanted_dtype() != DType::kF8E4M3)
    fail(ErrorCode::kUsage, "init: --scale-fmt ue8m0 is for --dtype fp8");
  if (flags.out.empty()) fail(ErrorCode::kUsage, "init: --out FOLDER says where the model goes");
  check_target(flags);
  const std::optional<Tokenizer> tokenizer = choose_tokenizer(flags, config);
  if (tokenizer) join_tokenizer(config, *tokenizer);
  if (config.vocab_size == 0)
    fail(ErrorCode::kUsage,
         "init: this preset takes its vocabulary from a tokenizer; --tokenizer none leaves it "
         "without");

  check_sizes(config);
  if (const int status = write_random_model(config, tokenizer ? &*tokenizer : nullptr, flags))
    return status;
  const std::string dtype = flags.storage.dtype.empty() ? "f32" : flags.storage.dtype;
  if (flags.json) {
    const ParameterCount count = count_parameters(config);
    const Json json = Json::object({{"folder", replace_invalid_utf8(flags.out)},
                                    {"seed", flags.seed},
                                    {"dtype", dtype},
                                    {"parameters", count.total},
                                    {"multi_token", count.multi_token}});
    print(json.dump() + "\n");
  } else {
    print(concat(flags.out, ": ", size_text(config), " parameters, ", dtype, ", seed ", flags.seed,
                 "\n"));
  }
  return 0;
}

}  // namespace

void add_init_command(CommandLine& line) {
  Command& command = line.add("init", "a model folder with random weights");
  auto flags = std::make_shared<InitFlags>();
  command.option("--preset", flags->preset, "a named shape")
      .option("--config", flags->config, "config.json of any supported shape")
      .option("--out", flags->out, "the folder to make")
      .option("--seed,-s", flags->seed, "the same seed gives the same weights")
      .option("--tokenizer", flags->tokenizer,
              "bytes, characters:TEXT, none, or a folder with tokenizer.json; bytes where nothing "
              "is said and they fit")
      .flag("--list", flags->list, "show the presets")
      .flag("--force", flags->force, "replace what is in --out")
      .flag("--json", flags->json, "results as JSON");
  add_storage_flags(command, flags->storage, "f32 where nothing is said");
  command.example("fathom init --list")
      .example(
          "fathom init --preset v3-nano --tokenizer \"characters:0123456789+=? \" --out "
          "models/nano")
      .example("fathom init --config config.json --dtype bf16 --seed 7 --out models/mine")
      .example("fathom init --preset v2-lite --dtype fp8 --shard-size 5GB --out models/v2-lite");
  command.on_run([&command, flags] { return init(command, *flags); });
}

}  // namespace fathom
