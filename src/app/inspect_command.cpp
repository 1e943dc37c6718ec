// fathom inspect: what is inside a model folder or a safetensors file, believed only after it was
// checked.
#include <iostream>

#include "app/commands.h"
#include "app/terminal.h"
#include "checkpoint/credible.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/tensor_names.h"
#include "checkpoint/weights.h"
#include "io/files.h"
#include "model/config_json.h"
#include "model/presets.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace fathom {
namespace {

constexpr size_t kShownTensors = 20;

struct InspectFlags {
  std::string path;
  bool tensors = false, json = false;
};

struct TensorRow {
  std::string name, dtype, file;
  std::vector<int64_t> shape;
};

// What inspect tells, gathered first and printed only when all of it is sound.
struct Findings {
  std::string path;
  bool weights = true;                // false: a shape alone
  std::optional<ModelConfig> config;  // of a folder or a shape
  std::optional<Tokenizer> tokenizer;
  bool multi_token_weights = false;
  std::vector<TensorRow> tensors;
  std::map<std::string, std::string> metadata;  // of a file
  uint64_t bytes = 0;
};

Findings inspect_file(const std::string& path) {
  const SafetensorsFile file(path);
  Findings found;
  found.path = path;
  found.metadata = file.metadata();
  for (const SafetensorEntry& entry : file.entries()) {
    found.tensors.push_back({entry.name, entry.dtype, path, entry.shape});
    found.bytes += entry.end - entry.begin;
  }
  return found;
}

Findings inspect_folder(const std::string& path) {
  Findings found;
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
  for (const auto& [name, at] : weights.tensors()) {
    found.tensors.push_back({name, at.entry->dtype, at.file->path(), at.entry->shape});
  }
  found.bytes = weights.total_bytes();
  found.config = config;
  if (exists(join_path(found.path, "tokenizer.json")))
    found.tokenizer = Tokenizer::load(found.path);
  return found;
}

// A config.json without its folder, or a preset.
Findings inspect_shape(const std::string& path, const ModelConfig& config) {
  check_sizes(config);
  Findings found;
  found.path = path;
  found.weights = false;
  found.config = config;
  if (config.source_json.empty())
    found.config->source_json = config_to_json(config, "bfloat16").dump();
  found.multi_token_weights = config.num_nextn_predict_layers > 0;
  return found;
}

Findings inspect_path(const std::string& path) {
  if (!exists(path) && has_preset(path)) return inspect_shape(path, model_preset(path).config);
  if (exists(path) && !is_directory(path)) {
    if (path.ends_with(".json")) return inspect_shape(path, read_config(path));
    return inspect_file(path);
  }
  return inspect_folder(path);
}

std::string attention_kind(const ModelConfig& c) {
  if (c.mla()) return "mla";
  if (c.num_key_value_heads == c.num_attention_heads) return "mha";
  return c.num_key_value_heads == 1 ? "mqa" : "gqa";
}

// Of the main model; a multi-token head has a layer of its own beside it.
int64_t cache_bytes(const ModelConfig& c, DType dtype) {
  return c.cache_bytes_per_token(info(dtype).block_bytes);
}

// 671,026,419,200
std::string exact(int64_t n) {
  std::string text = std::to_string(n);
  for (int64_t at = static_cast<int64_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<size_t>(at), ",");
  return text;
}

std::string tokenizer_kind(const Tokenizer& tokenizer) {
  if (!tokenizer.spec().merges.empty()) return "bpe";
  return tokenizer.spec().kind == SymbolKind::kBytes ? "bytes" : "characters";
}

Json tensors_json(const Findings& found) {
  Json list = Json::array();
  for (const TensorRow& row : found.tensors) {
    list.push_back(Json::object({{"name", row.name},
                                 {"dtype", row.dtype},
                                 {"shape", Json(row.shape)},
                                 {"file", replace_invalid_utf8(row.file)}}));
  }
  return list;
}

std::map<std::string, int64_t> tensors_by_dtype(const Findings& found) {
  std::map<std::string, int64_t> counts;
  for (const TensorRow& row : found.tensors) ++counts[row.dtype];
  return counts;
}

Json model_json(const ModelConfig& c) {
  const ParameterCount count = count_parameters(c);
  Json json = Json::object();
  json["model_type"] = c.model_type;
  json["attention"] = attention_kind(c);
  json["parameters"] = Json::object({{"total", count.total},
                                     {"active", count.active},
                                     {"multi_token", count.multi_token},
                                     {"multi_token_active", count.multi_token_active}});
  json["cache_bytes_per_token_bf16"] = cache_bytes(c, DType::kBF16);
  json["cache_bytes_per_token_f32"] = cache_bytes(c, DType::kF32);
  json["forward_flops_per_token"] = forward_flops(c);
  json["context_tokens"] = c.max_position_embeddings;
  json["end_ids"] = Json(c.eos_token_ids);
  return json;
}

Json tokenizer_json(const Tokenizer& tokenizer) {
  return Json::object({{"kind", tokenizer_kind(tokenizer)},
                       {"vocab_size", tokenizer.vocab_size()},
                       {"added_tokens", static_cast<int64_t>(tokenizer.spec().added_tokens.size())},
                       {"adds_bos", tokenizer.spec().add_bos_token},
                       {"chat_template", !tokenizer.spec().chat_template.empty()}});
}

Json to_json(const Findings& found) {
  Json json = Json::object({{"path", replace_invalid_utf8(found.path)}});
  if (found.config) {
    const Json model = model_json(*found.config);
    for (const auto& [key, value] : model.members()) json[key] = value;
    json["config"] = parse_json(found.config->source_json, found.path);
    json["tokenizer"] = found.tokenizer ? tokenizer_json(*found.tokenizer) : Json();
  }
  if (!found.weights) return json;
  json["bytes"] = static_cast<int64_t>(found.bytes);
  json["tensor_count"] = static_cast<int64_t>(found.tensors.size());
  json["tensors"] = tensors_json(found);
  return json;
}

std::string row_text(const std::string& name, const std::string& value) {
  return concat("  ", name, std::string(name.size() < 16 ? 16 - name.size() : 1, ' '), value, "\n");
}

std::string positions_text(const ModelConfig& c) {
  const RopeScaling& s = c.rope_scaling;
  const std::string theta = concat("theta ", c.rope_theta);
  if (s.kind == RopeKind::kPlain) return theta;
  const std::string from = s.original_max_position_embeddings > 0
                               ? concat(" from ", s.original_max_position_embeddings, " tokens")
                               : "";
  return concat(theta, ", ", name_of(s.kind), " by ", s.factor, from);
}

std::string model_text(const ModelConfig& c, bool multi_token_weights) {
  const ParameterCount count = count_parameters(c);
  std::string text =
      row_text("family", concat(c.model_type, ", ", attention_kind(c), " attention"));
  text += row_text("shape", concat(c.num_hidden_layers, " layers of ", c.hidden_size, ", ",
                                   c.num_attention_heads, " heads, vocabulary ", c.vocab_size,
                                   ", context ", c.max_position_embeddings));
  if (c.n_routed_experts > 0) {
    text += row_text("experts",
                     concat(c.n_routed_experts, " routed (", c.num_experts_per_tok, " chosen) + ",
                            c.n_shared_experts, " shared, from layer ", c.first_k_dense_replace));
  }
  text += row_text("positions", positions_text(c));
  text += row_text("parameters",
                   concat(exact(count.total), " in all, ", exact(count.active), " active"));
  if (multi_token_weights)
    text += row_text("multi-token", exact(count.multi_token) + " parameters");
  text += row_text("cache", concat(exact(cache_bytes(c, DType::kBF16)), " bytes a token in bf16, ",
                                   exact(cache_bytes(c, DType::kF32)), " in f32"));
  return text;
}

std::string tokenizer_text(const std::optional<Tokenizer>& tokenizer) {
  if (!tokenizer) return row_text("tokenizer", "none");
  const bool talks = !tokenizer->spec().chat_template.empty();
  return row_text("tokenizer",
                  concat(tokenizer_kind(*tokenizer), ", ", tokenizer->vocab_size(), " tokens")) +
         row_text("chat template", talks ? "yes" : "none");
}

std::string tensors_text(const Findings& found, bool all) {
  std::string kinds;
  for (const auto& [dtype, count] : tensors_by_dtype(found))
    kinds += concat(kinds.empty() ? "" : ", ", count, " ", dtype);
  std::string text = row_text("weights", concat(found.tensors.size(), " tensors (", kinds, "), ",
                                                human_bytes(static_cast<double>(found.bytes))));
  const size_t shown = all ? found.tensors.size() : std::min(kShownTensors, found.tensors.size());
  for (size_t i = 0; i < shown; ++i) {
    const TensorRow& row = found.tensors[i];
    std::string shape;
    for (const int64_t extent : row.shape) shape += concat(shape.empty() ? "" : ", ", extent);
    text +=
        concat("    ", row.dtype, std::string(row.dtype.size() < 5 ? 5 - row.dtype.size() : 1, ' '),
               "[", shape, "] ", row.name, "\n");
  }
  if (shown < found.tensors.size())
    text += concat("    … ", found.tensors.size() - shown, " more (--tensors shows all)\n");
  return text;
}

int inspect(const InspectFlags& flags) {
  Findings found;
  try {
    found = inspect_path(flags.path);
  } catch (const Error& error) {
    throw Error(ErrorCode::kModel, error.what());  // whatever is wrong here is wrong with the model
  }
  if (flags.json) {
    print(to_json(found).dump() + "\n");
    return 0;
  }
  std::string text = found.path + "\n";
  if (found.config) text += model_text(*found.config, found.multi_token_weights);
  if (!found.weights) {
    print(visible(text));
    return 0;
  }
  if (found.config) text += tokenizer_text(found.tokenizer);
  for (const auto& [key, value] : found.metadata) text += row_text(key, value);
  print(visible(text + tensors_text(found, flags.tensors)));
  return 0;
}

}  // namespace

void add_inspect_command(CommandLine& line) {
  Command& command =
      line.add("inspect", "what is inside a model folder, a safetensors file or a preset");
  auto flags = std::make_shared<InspectFlags>();
  command
      .positional("path", flags->path,
                  "model folder, a .safetensors file, a config.json, or a preset")
      .flag("--tensors", flags->tensors, "all tensors, not only the first ones")
      .flag("--json", flags->json, "one JSON object, with all tensors");
  command.example("fathom inspect models/nano")
      .example("fathom inspect models/nano --json")
      .example("fathom inspect r1-distill-qwen-7b");
  command.on_run([flags] { return inspect(*flags); });
}

}  // namespace fathom
