#include "checkpoint/model_folder.h"

#include "checkpoint/credible.h"
#include "checkpoint/weights.h"
#include "io/files.h"
#include "io/json.h"
#include "model/config_json.h"

namespace fathom {
namespace {

void join_folder_generation_config(ModelConfig& config, const std::string& folder) {
  const std::string path = join_path(folder, "generation_config.json");
  if (!exists(path)) return;
  join_generation_config(config, parse_json(read_file(path), path, ErrorCode::kModel));
}

std::string torch_dtype(DType dtype) {
  if (dtype == DType::kF32) return "float32";
  return dtype == DType::kF16 ? "float16" : "bfloat16";
}

Json fp8_config() {
  Json json = Json::object();
  json["quant_method"] = "fp8";
  json["fmt"] = "e4m3";
  json["activation_scheme"] = "dynamic";
  Json block = Json::array();
  block.push_back(BlockScales::kBlock);
  block.push_back(BlockScales::kBlock);
  json["weight_block_size"] = std::move(block);
  return json;
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
                       const LoadProgress& progress) {
  LoadedModel model;
  model.folder = resolve_model_folder(path);
  ModelConfig config = read_config(join_path(model.folder, "config.json"));
  join_folder_generation_config(config, model.folder);
  const auto weights = std::make_shared<const SafetensorsFolder>(model.folder);
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
                DType dtype, const ModelCard& card) {
  const ModelConfig& config = decoder.config();
  Json json = config_to_json(config, torch_dtype(dtype));
  if (dtype == DType::kF8E4M3) json["quantization_config"] = fp8_config();
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
  save_weights(decoder, folder, dtype);
}

}  // namespace fathom
