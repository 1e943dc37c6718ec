#include "checkpoint/weights.h"

#include <algorithm>
#include <set>

#include "checkpoint/file_tensors.h"
#include "checkpoint/fp8_weights.h"
#include "checkpoint/weight_writer.h"

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

// The scales of an FP8 tensor: F32, one for each block.
void check_scales(const ParameterPart& part, const SafetensorsFolder& folder,
                  const SafetensorsFolder::Location& weight) {
  const std::string name = fp8_scale_name(part.name);
  const Shape expected = fp8_scale_shape(part.shape);
  const SafetensorsFolder::Location* found = folder.find(name);
  if (found == nullptr) {
    fail(ErrorCode::kModel, "load: tensor ", part.name, " in ", weight.file->path(),
         " is F8_E4M3 but has no scales\n      expected ", name, ", F32 ", expected, ", in ",
         folder.path(), "\n      fix: fetch the folder again; codes without scales say nothing");
  }
  if (found->entry->dtype != "F32" || Shape(found->entry->shape) != expected) {
    fail(ErrorCode::kModel, "load: tensor ", name, " in ", found->file->path(), " is ",
         shape_text(found->entry->dtype, Shape(found->entry->shape)), "; expected F32 ", expected,
         ", a factor for each 128 x 128 elements of ", part.name, " ", part.shape);
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
  const bool matrix = part.shape.rank() == 2;
  if (dtype == "F8_E4M3" && matrix) return check_scales(part, folder, *found);
  if (dtype != "F32" && dtype != "BF16" && dtype != "F16" && dtype != "F64") {
    fail(ErrorCode::kModel, "load: tensor ", part.name, " in ", found->file->path(), " has dtype ",
         dtype, "; expected F32, BF16, F16 or F64", matrix ? ", or F8_E4M3 with scales" : "");
  }
}

// The dtype of one tensor in a folder of `dtype`.
DType dtype_in_folder(const Parameter& p, const ParameterPart& part, DType dtype) {
  if (!p.trained) return DType::kF32;
  if (dtype != DType::kF8E4M3 || published_as_fp8(part.name, part.shape)) return dtype;
  return DType::kBF16;
}

// A published tensor, its values those in memory.
WrittenTensor written(const Parameter& p, const ParameterPart& part, DType dtype) {
  const int64_t cols = part.shape.cols();
  return {part.name, part.shape, dtype_in_folder(p, part, dtype),
          [&p, &part, cols](int64_t row, int64_t rows, float* out) {
            const float* values = p.value.data<float>() + p.first_element(part);
            std::copy_n(values + row * cols, rows * cols, out);
          }};
}

// By name. The published layout repeats embedding and head inside each multi-token module.
std::map<std::string, WrittenTensor> published_tensors(Decoder& decoder, DType dtype) {
  std::map<std::string, WrittenTensor> tensors;
  for (Parameter* p : decoder.parameters()) {
    for (const ParameterPart& part : p->parts) tensors[part.name] = written(*p, part, dtype);
  }
  const ModelConfig& config = decoder.config();
  const auto repeat = [&](const std::string& name, const std::string& as) {
    tensors[as] = tensors.at(name);
    tensors[as].name = as;
  };
  for (int64_t i = 0; i < config.num_nextn_predict_layers; ++i) {
    const std::string prefix = concat("model.layers.", config.num_hidden_layers + i, ".");
    const char* head = config.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight";
    repeat("model.embed_tokens.weight", prefix + "embed_tokens.weight");
    repeat(head, prefix + "shared_head.head.weight");
  }
  return tensors;
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
      if (folder.at(part.name).entry->dtype == "F8_E4M3")
        expected.insert(fp8_scale_name(part.name));
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

void load_weights(Decoder& decoder, const SafetensorsFolder& folder, const LoadProgress& progress) {
  check_weights(decoder, folder);
  constexpr int64_t kPieceElements = int64_t{1} << 22;  // between two reports
  uint64_t read = 0, total = 0;
  for (const Parameter* p : decoder.parameters()) {
    for (const ParameterPart& part : p->parts)
      total += p->stored ? 0 : folder.bytes(part.name).size();
  }
  for (Parameter* p : decoder.parameters()) {
    if (p->stored) continue;
    float* values = p->value.mutable_data<float>();
    for (const ParameterPart& part : p->parts) {
      const ConstView view = file_view(folder, part.name, part.shape);
      float* first = values + p->first_element(part);
      const int64_t piece =
          std::max<int64_t>(1, kPieceElements / std::max<int64_t>(1, view.cols()));
      for (int64_t begin = 0; begin < view.rows(); begin += piece) {
        const int64_t end = std::min(view.rows(), begin + piece);
        rows_to_f32(view, begin, end, first + begin * view.cols());
        read += static_cast<uint64_t>(byte_size(view.dtype, (end - begin) * view.cols()));
        if (progress) progress(read, total);
      }
    }
  }
}

void keep_stored(Decoder& decoder, std::shared_ptr<const SafetensorsFolder> folder) {
  check_weights(decoder, *folder);
  for (Parameter* p : decoder.parameters()) {
    StoredWeight stored{{}, folder};
    for (const ParameterPart& part : p->parts) {
      const ConstView view = file_view(*folder, part.name, part.shape);
      if (part.shape.rank() == 2 && readable_in_place(view)) stored.parts.push_back(view);
    }
    if (stored.parts.size() == p->parts.size()) p->stored = std::move(stored);
  }
}

void save_weights(Decoder& decoder, const std::string& folder, DType dtype) {
  std::vector<WrittenTensor> tensors;
  for (auto& [name, tensor] : published_tensors(decoder, dtype)) tensors.push_back(tensor);
  write_weights(tensors, folder);
}

}  // namespace fathom
