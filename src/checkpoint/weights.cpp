#include "checkpoint/weights.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/float_bits.h"

namespace fathom {
namespace {

std::string shape_text(const std::string& dtype, const Shape& shape) {
  return concat(dtype, " ", shape);
}

// Names that a file may hold beside the model's own tensors.
bool known_extra(const std::string& name, const ModelConfig& config,
                 const SafetensorsFolder& folder) {
  if (name.ends_with("rotary_emb.inv_freq")) return true;
  if (config.tie_word_embeddings && name == "lm_head.weight") return true;
  // Layers beyond the decoder's are extras only where they are multi-token modules: copies of
  // shared matrices, or modules that this model does not run. A plain layer there means that
  // num_hidden_layers is too small.
  const std::string prefix = "model.layers.";
  if (!name.starts_with(prefix) || !config.mla()) return false;
  const int64_t layer = std::atoll(name.c_str() + prefix.size());
  if (layer < config.num_hidden_layers ||
      !folder.contains(concat(prefix, layer, ".eh_proj.weight")))
    return false;
  const bool shared =
      name.ends_with(".embed_tokens.weight") || name.ends_with(".shared_head.head.weight");
  return shared || layer >= config.num_hidden_layers + config.num_nextn_predict_layers;
}

template <class Convert>
void convert(std::span<const std::byte> bytes, float* out, size_t element_bytes,
             Convert&& convert) {
  for (size_t i = 0; i * element_bytes < bytes.size(); ++i)
    out[i] = convert(bytes.data() + i * element_bytes);
}

template <class T>
T read_bits(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

void to_f32(std::span<const std::byte> bytes, DType dtype, float* out) {
  switch (dtype) {
    case DType::kF32:
      std::memcpy(out, bytes.data(), bytes.size());
      return;
    case DType::kBF16:
      return convert(bytes, out, 2,
                     [](const std::byte* p) { return bf16_to_f32(read_bits<uint16_t>(p)); });
    case DType::kF16:
      return convert(bytes, out, 2,
                     [](const std::byte* p) { return f16_to_f32(read_bits<uint16_t>(p)); });
    case DType::kF64:
      return convert(bytes, out, 8,
                     [](const std::byte* p) { return static_cast<float>(read_bits<double>(p)); });
    default:
      fail(ErrorCode::kModel, "load: weights of type ", info(dtype).name,
           " are not supported; expected f32, bf16 or f16");
  }
}

void check_part(const ParameterPart& part, const SafetensorsFolder& folder) {
  const SafetensorsFolder::Location* found = folder.find(part.name);
  if (found == nullptr) {
    std::vector<std::string> names;
    for (const auto& [name, location] : folder.tensors()) names.push_back(name);
    const std::vector<std::string> near = nearest_names(part.name, names, 1);
    fail(ErrorCode::kModel, "load: tensor ", part.name, " is missing from ", folder.path(),
         "\n      expected ", part.shape, "; the folder holds ", names.size(), " tensors",
         near.empty() ? "" : concat(", the nearest name is ", near[0]),
         "\n      fix: fetch the folder again, or compare num_hidden_layers in config.json with "
         "the checkpoint");
  }
  const Shape shape(found->entry->shape);
  if (shape != part.shape) {
    fail(ErrorCode::kModel, "load: tensor ", part.name, " in ", found->file->path(), " is ",
         shape_text(found->entry->dtype, shape), "; expected ", part.shape, " from config.json");
  }
  const std::string& dtype = found->entry->dtype;
  if (dtype != "F32" && dtype != "BF16" && dtype != "F16" && dtype != "F64") {
    fail(ErrorCode::kModel, "load: tensor ", part.name, " in ", found->file->path(), " has dtype ",
         dtype, "; expected F32, BF16, F16 or F64");
  }
}

std::vector<std::byte> converted_bytes(const float* values, int64_t count, DType dtype) {
  std::vector<std::byte> bytes(static_cast<size_t>(byte_size(dtype, count)));
  if (dtype == DType::kF32) {
    std::memcpy(bytes.data(), values, bytes.size());
    return bytes;
  }
  FATHOM_CHECK(dtype == DType::kBF16, "save: weights can be written as f32 or bf16, not ",
               info(dtype).name);
  for (int64_t i = 0; i < count; ++i) {
    const uint16_t bits = f32_to_bf16(values[i]);
    std::memcpy(bytes.data() + 2 * i, &bits, 2);
  }
  return bytes;
}

// A published tensor to be written: where its values are.
struct Source {
  const Parameter* parameter;
  const ParameterPart* part;
  DType dtype;
};

std::map<std::string, Source> published_tensors(Decoder& decoder, DType dtype) {
  std::map<std::string, Source> sources;
  for (Parameter* p : decoder.parameters()) {
    for (const ParameterPart& part : p->parts)
      sources[part.name] = {p, &part, p->trained ? dtype : DType::kF32};
  }
  // The published layout repeats embedding and head inside each multi-token module.
  const ModelConfig& config = decoder.config();
  for (int64_t i = 0; i < config.num_nextn_predict_layers; ++i) {
    const std::string prefix = concat("model.layers.", config.num_hidden_layers + i, ".");
    const Source embedding = sources.at("model.embed_tokens.weight");
    sources[prefix + "embed_tokens.weight"] = embedding;
    sources[prefix + "shared_head.head.weight"] =
        config.tie_word_embeddings ? embedding : sources.at("lm_head.weight");
  }
  return sources;
}

}  // namespace

bool has_multi_token_weights(const ModelConfig& config, const SafetensorsFolder& folder) {
  return folder.contains(concat("model.layers.", config.num_hidden_layers, ".eh_proj.weight"));
}

void check_weights(Decoder& decoder, const SafetensorsFolder& folder) {
  std::set<std::string> expected;
  for (Parameter* p : decoder.parameters()) {
    for (const ParameterPart& part : p->parts) {
      check_part(part, folder);
      expected.insert(part.name);
    }
  }
  for (const auto& [name, location] : folder.tensors()) {
    if (expected.contains(name) || known_extra(name, decoder.config(), folder)) continue;
    const std::vector<std::string> near =
        nearest_names(name, {expected.begin(), expected.end()}, 1);
    fail(ErrorCode::kModel, "load: unexpected tensor ", name, " in ", location.file->path(), " ",
         shape_text(location.entry->dtype, Shape(location.entry->shape)),
         near.empty() ? "" : concat("; the nearest expected name is ", near[0]),
         "\n      fix: config.json does not describe these weights; compare num_hidden_layers and "
         "model_type");
  }
}

void load_weights(Decoder& decoder, const SafetensorsFolder& folder) {
  check_weights(decoder, folder);
  for (Parameter* p : decoder.parameters()) {
    float* values = p->value.mutable_data<float>();
    for (const ParameterPart& part : p->parts) {
      const SafetensorsFolder::Location& at = folder.at(part.name);
      to_f32(at.file->bytes(*at.entry), dtype_from_safetensors(at.entry->dtype),
             values + part.row_begin * p->declared.cols());
    }
  }
}

void save_weights(Decoder& decoder, const std::string& folder, DType dtype) {
  const std::map<std::string, Source> sources = published_tensors(decoder, dtype);
  std::vector<SafetensorSpec> specs;
  for (const auto& [name, source] : sources) {
    specs.push_back({name, info(source.dtype).safetensors, source.part->shape.to_vector()});
  }
  SafetensorsWriter writer(join_path(folder, "model.safetensors"), specs);
  for (const SafetensorEntry& entry : std::vector<SafetensorEntry>(writer.entries())) {
    const Source& source = sources.at(entry.name);
    const float* values = source.parameter->value.data<float>() +
                          source.part->row_begin * source.parameter->declared.cols();
    writer.write(entry.name, converted_bytes(values, source.part->shape.elements(), source.dtype));
  }
  writer.finish();
}

}  // namespace fathom
