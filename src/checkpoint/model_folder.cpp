#include "checkpoint/model_folder.h"

#include "checkpoint/credible.h"
#include "checkpoint/storage_config.h"
#include "checkpoint/tensor_names.h"
#include "checkpoint/weights.h"
#include "io/files.h"
#include "io/json.h"
#include "model/config_json.h"

namespace fathom {
namespace {

void join_folder_generation_config(ModelConfig& config, const std::string& folder) {
  const std::string path = join_path(folder, "generation_config.json");
  if (!exists(path)) return;
  const Json json = parse_json(read_file(path), path, ErrorCode::kModel);
  try {
    join_generation_config(config, json);
  } catch (const Error& error) {
    fail(ErrorCode::kModel, path, ": ", error.what());
  }
}

std::string card_text(const ModelCard& card) {
  return concat("---\nlibrary_name: transformers\npipeline_tag: text-generation\n---\n\n# ",
                card.title, "\n\n", card.body, "\n");
}

}  // namespace

const Tokenizer& LoadedModel::require_tokenizer() const {
  if (!tokenizer) {
    fail(ErrorCode::kModel, "model: ", folder,
         " has no tokenizer.json; text needs one (token ids work without: --ids FILE)");
  }
  return *tokenizer;
}

std::string resolve_model_folder(const std::string& path) {
  if (!exists(path)) fail(ErrorCode::kModel, "model: no such folder: ", path);
  if (!is_directory(path))
    fail(ErrorCode::kModel, "model: ", path, " is a file; expected a folder with config.json");
  if (exists(join_path(path, "config.json"))) return path;
  const std::string inner = join_path(path, "model");
  if (exists(join_path(inner, "config.json"))) return inner;
  const std::string checkpoints = join_path(path, "checkpoints");
  if (is_directory(checkpoints)) {
    const std::vector<std::string> names = list_directory(checkpoints);
    for (auto name = names.rbegin(); name != names.rend(); ++name) {
      const std::string folder = join_path(checkpoints, *name);
      if (name->starts_with("step-") && exists(join_path(folder, "config.json"))) return folder;
    }
  }
  fail(ErrorCode::kModel, "model: ", path,
       " holds no config.json, no model/ and no complete checkpoints/step-*");
}

void check_run_folder(const std::string& out) {
  for (const char* name : {"config.json", "model/config.json"}) {
    if (!exists(join_path(out, name))) continue;
    fail(ErrorCode::kUsage, "--out is ", out, ", which holds a model already (", name,
         "); choose another folder: --init starts from that model");
  }
}

LoadedModel load_model(const std::string& path, Allocator& memory, WeightsFor use,
                       const ByteProgress& progress) {
  LoadedModel model;
  model.folder = resolve_model_folder(path);
  ModelConfig config = read_config(join_path(model.folder, "config.json"));
  join_folder_generation_config(config, model.folder);
  const std::shared_ptr<const SafetensorsFolder> weights = open_weights(model.folder);
  check_credible(config, *weights);
  if (config.num_nextn_predict_layers > 0 && !has_multi_token_weights(config, *weights))
    config.num_nextn_predict_layers = 0;
  model.decoder = std::make_unique<Decoder>(config);
  check_weights(*model.decoder, *weights);
  if (use == WeightsFor::kInference && !model.decoder->weights_are_near())
    keep_stored(*model.decoder, weights);
  model.decoder->allocate(memory);
  load_weights(*model.decoder, *weights, progress);
  if (exists(join_path(model.folder, "tokenizer.json")))
    model.tokenizer = Tokenizer::load(model.folder);
  return model;
}

void save_model(Decoder& decoder, const Tokenizer* tokenizer, const std::string& folder,
                const WeightFormat& format, const ModelCard& card, const PartReader& read,
                const ByteProgress& progress) {
  const ModelConfig& config = decoder.config();
  Json json = config_to_json(config, "float32");
  set_storage(json, format.dtype, format.power_of_two);
  write_file_atomically(join_path(folder, "config.json"), json.dump(2) + "\n");
  Json generation = Json::object();
  generation["bos_token_id"] = config.bos_token_id;
  generation["eos_token_id"] = *json.find("eos_token_id");
  if (config.pad_token_id >= 0) generation["pad_token_id"] = config.pad_token_id;
  generation["do_sample"] = true;
  generation["temperature"] = 1.0;
  write_file_atomically(join_path(folder, "generation_config.json"), generation.dump(2) + "\n");
  if (tokenizer != nullptr) tokenizer->save(folder);
  write_file_atomically(join_path(folder, "README.md"), card_text(card));
  save_weights(decoder, folder, format, read, progress);
}

}  // namespace fathom
