#include "checkpoint/weights.h"

#include <algorithm>
#include <set>

#include "checkpoint/file_tensors.h"
#include "checkpoint/fp8_weights.h"

namespace fathom {
namespace {

std::string shape_text(const std::string& dtype, const Shape& shape) {
  return concat(dtype, " ", shape);
}

// The file that holds all tensors, or how many do.
std::string files_of(const SafetensorsFolder& folder) {
  std::set<std::string> files;
  for (const auto& [name, location] : folder.tensors()) files.insert(location.file->path());
  return files.size() == 1 ? *files.begin()
                           : concat("the ", files.size(), " files of ", folder.path());
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

[[noreturn]] void refuse_missing(const ParameterPart& part, const SafetensorsFolder& folder,
                                 const std::set<std::string>& expected) {
  // A name that nothing asks for is more likely the misspelt one than that of another layer.
  std::vector<std::string> names, spare;
  for (const auto& [name, location] : folder.tensors()) {
    names.push_back(name);
    if (!expected.contains(name)) spare.push_back(name);
  }
  std::vector<std::string> near = nearest_names(part.name, spare, 1);
  if (near.empty()) near = nearest_names(part.name, names, 1);
  fail(ErrorCode::kModel, "load: tensor ", part.name, " is missing from ", files_of(folder),
       "\n      expected ", part.shape, "; got ", names.size(), " other tensors",
       near.empty() ? "" : concat(", the nearest name is ", near[0]),
       "\n      fix: fetch the folder again, or compare num_hidden_layers in config.json with "
       "the checkpoint");
}

void check_part(const ParameterPart& part, const SafetensorsFolder& folder,
                const std::set<std::string>& expected) {
  const SafetensorsFolder::Location* found = folder.find(part.name);
  if (found == nullptr) refuse_missing(part, folder, expected);
  const Shape shape(found->entry->shape);
  if (shape != part.shape) {
    fail(ErrorCode::kModel, "load: tensor ", part.name, " in ", found->file->path(), " is ",
         shape_text(found->entry->dtype, shape), "; expected ", part.shape, " from config.json");
  }
  const std::string& dtype = found->entry->dtype;
  const bool matrix = part.shape.rank() == 2;
  if (dtype == "F8_E4M3" && matrix) return check_fp8_scales(folder, part.name, part.shape);
  if (dtype != "F32" && dtype != "BF16" && dtype != "F16" && dtype != "F64") {
    fail(ErrorCode::kModel, "load: tensor ", part.name, " in ", found->file->path(), " has dtype ",
         dtype, "; expected F32, BF16, F16 or F64", matrix ? ", or F8_E4M3 with scales" : "");
  }
}

// In the order of the model.
std::vector<WrittenTensor> published_tensors(Decoder& decoder, const WeightFormat& format,
                                             const PartReader& read) {
  std::vector<WrittenTensor> tensors;
  const auto add = [&](const std::string& name, const Parameter& p, const ParameterPart& part) {
    tensors.push_back(rounded_tensor(
        name, part.shape, dtype_in_folder(part.name, part.shape, format.dtype),
        [&p, &part, &read](int64_t row, int64_t rows, float* out) {
          read(p, part, row, rows, out);
        },
        format.power_of_two));
  };
  const ParameterList parameters = decoder.parameters();
  for (const Parameter* p : parameters) {
    for (const ParameterPart& part : p->parts) add(part.name, *p, part);
  }
  const ModelConfig& config = decoder.config();
  const Parameter& embedding = *parameters.front();
  const Parameter& head = decoder.lm_head();
  for (int64_t i = 0; i < config.num_nextn_predict_layers; ++i) {
    const std::string prefix = concat("model.layers.", config.num_hidden_layers + i, ".");
    add(prefix + "embed_tokens.weight", embedding, embedding.parts.front());
    add(prefix + "shared_head.head.weight", head, head.parts.front());
  }
  return tensors;
}

// Programs do not agree on whether a head of its own or the tied embedding then counts.
void check_tied_head(const ModelConfig& config, const SafetensorsFolder& folder) {
  const SafetensorsFolder::Location* head = folder.find("lm_head.weight");
  if (!config.tie_word_embeddings || head == nullptr) return;
  const SafetensorsFolder::Location& embedding = folder.at("model.embed_tokens.weight");
  if (head->entry->dtype == embedding.entry->dtype &&
      std::ranges::equal(head->file->bytes(*head->entry), embedding.file->bytes(*embedding.entry)))
    return;
  fail(ErrorCode::kModel,
       "load: tie_word_embeddings is true in config.json, but lm_head.weight in ",
       head->file->path(), " differs from model.embed_tokens.weight; expected the same values",
       "\n      fix: set tie_word_embeddings to false to use that head");
}

}  // namespace

bool has_multi_token_weights(const ModelConfig& config, const SafetensorsFolder& folder) {
  return folder.contains(concat("model.layers.", config.num_hidden_layers, ".eh_proj.weight"));
}

void check_weights(Decoder& decoder, const SafetensorsFolder& folder) {
  std::set<std::string> expected;
  for (const Parameter* p : decoder.parameters()) {
    for (const ParameterPart& part : p->parts) expected.insert(part.name);
  }
  for (const Parameter* p : decoder.parameters()) {
    for (const ParameterPart& part : p->parts) {
      check_part(part, folder, expected);
      if (folder.at(part.name).entry->dtype == "F8_E4M3")
        expected.insert(fp8_scale_name(part.name));
    }
  }
  check_tied_head(decoder.config(), folder);
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

void load_weights(Decoder& decoder, const SafetensorsFolder& folder, const ByteProgress& progress) {
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

DType dtype_in_folder(std::string_view name, const Shape& shape, DType dtype) {
  if (name.ends_with(".e_score_correction_bias")) return DType::kF32;
  if (dtype != DType::kF8E4M3 || published_as_fp8(name, shape)) return dtype;
  return DType::kBF16;
}

void read_values(const Parameter& p, const ParameterPart& part, int64_t row, int64_t rows,
                 float* out) {
  const int64_t cols = part.shape.cols();
  std::copy_n(p.value.data<float>() + p.first_element(part) + row * cols, rows * cols, out);
}

uint64_t saved_bytes(Decoder& decoder, const WeightFormat& format) {
  const PartReader read = read_values;
  uint64_t total = 0;
  for (const WrittenTensor& tensor : published_tensors(decoder, format, read))
    total += tensor.bytes();
  return total;
}

void save_weights(Decoder& decoder, const std::string& folder, const WeightFormat& format,
                  const PartReader& read, const ByteProgress& progress) {
  WeightFiles files;
  files.shard_bytes = format.shard_bytes;
  write_weights(published_tensors(decoder, format, read), folder, files, progress);
}

}  // namespace fathom
