#include "app/inspection.h"

#include <algorithm>

#include "app/earlier_checkpoint.h"
#include "app/inputs.h"
#include "checkpoint/credible.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/tensor_names.h"
#include "checkpoint/weights.h"
#include "io/files.h"
#include "model/config_json.h"
#include "model/presets.h"
#include "text/prompt_formats.h"

namespace fathom {
namespace {

TensorRow row_of(const SafetensorEntry& entry, const std::string& file) {
  return {entry.name, entry.dtype, file, entry.shape, entry.end - entry.begin};
}

Inspection inspect_file(const std::string& path) {
  const SafetensorsFile file(path);
  Inspection found;
  found.path = path;
  found.metadata = file.metadata();
  for (const SafetensorEntry& entry : file.entries()) {
    found.tensors.push_back(row_of(entry, path));
    found.bytes += found.tensors.back().bytes;
  }
  return found;
}

// A template that cannot be used hides nothing else of the folder.
TemplateRow examine_template(const std::string& folder, const Tokenizer& tokenizer) {
  TemplateRow row;
  try {
    if (!has_prompt_format(folder, tokenizer)) return row;
    const PromptFormat format = PromptFormat::load(folder, tokenizer);
    const bool own_file = exists(format.name());
    const bool in_config = !tokenizer.spec().chat_template.empty();
    if (own_file || in_config) {
      row.source = own_file ? format.name() : join_path(folder, "tokenizer_config.json");
    } else {
      row.source = "built-in " + format.name();
      row.why = built_in_format_evidence(tokenizer);
    }
    row.facts = examine_format(format, tokenizer);
  } catch (const Error& error) {
    row.fault = error.what();
  }
  return row;
}

std::optional<Quantization> read_quantization(const ModelConfig& config) {
  const Json json = parse_json(config.source_json, "config.json", ErrorCode::kModel);
  const Json* said = json.find("quantization_config");
  if (said == nullptr || said->is_null()) return std::nullopt;
  Quantization q;
  q.method = said->string_or("quant_method", "");
  q.format = said->string_or("fmt", "e4m3");
  if (const Json* block = said->find("weight_block_size")) {
    for (const Json& extent : block->items("weight_block_size"))
      q.block.push_back(extent.as_int("weight_block_size"));
  }
  q.activations = said->string_or("activation_scheme", "");
  // Where it stands differs between published files.
  q.scales = said->string_or("scale_fmt", json.string_or("scale_fmt", q.scales));
  return q;
}

Inspection inspect_folder(const std::string& path) {
  Inspection found;
  found.path = resolve_model_folder(path);
  ModelConfig config = read_config(join_path(found.path, "config.json"));
  const std::shared_ptr<const SafetensorsFolder> opened = open_weights(found.path);
  const SafetensorsFolder& weights = *opened;
  check_credible(config, weights);
  found.multi_token_weights =
      config.num_nextn_predict_layers > 0 && has_multi_token_weights(config, weights);
  if (!found.multi_token_weights) config.num_nextn_predict_layers = 0;
  Decoder decoder(config);
  check_weights(decoder, weights);
  for (const auto& [name, at] : weights.tensors())
    found.tensors.push_back(row_of(*at.entry, at.file->path()));
  found.bytes = weights.total_bytes();
  found.config = config;
  found.quantization = read_quantization(config);
  if (exists(join_path(found.path, "tokenizer.json"))) {
    found.tokenizer = Tokenizer::load(found.path);
    found.conversation = examine_template(found.path, *found.tokenizer);
  }
  return found;
}

// A config.json without its folder, or a preset.
Inspection inspect_shape(const std::string& path, const ModelConfig& config) {
  check_sizes(config);
  Inspection found;
  found.path = path;
  found.has_weights = false;
  found.config = config;
  if (config.source_json.empty())
    found.config->source_json = config_to_json(config, "bfloat16").dump();
  found.quantization = read_quantization(*found.config);
  found.multi_token_weights = config.num_nextn_predict_layers > 0;
  return found;
}

}  // namespace

int64_t TensorRow::elements() const {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return count;
}

Inspection inspect_path(const std::string& path) {
  try {
    if (!exists(path) && has_preset(path)) return inspect_shape(path, model_preset(path).config);
    if (exists(path) && !is_directory(path)) {
      if (path.ends_with(".json")) return inspect_shape(path, read_config(path));
      return inspect_file(path);
    }
    return with_checkpoint_hint(path, /*resumes=*/false, [&] { return inspect_folder(path); });
  } catch (const Error& error) {
    throw Error(ErrorCode::kModel, error.what());  // whatever is wrong here is wrong with the model
  }
}

}  // namespace fathom
