#include "checkpoint/convert.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/text.h"
#include "checkpoint/credible.h"
#include "checkpoint/file_tensors.h"
#include "checkpoint/fp8_weights.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/storage_config.h"
#include "checkpoint/weights.h"
#include "io/files.h"
#include "model/config_json.h"

namespace fathom {
namespace {

bool is_float(const std::string& dtype) {
  return dtype == "F64" || dtype == "F32" || dtype == "BF16" || dtype == "F16" ||
         dtype == "F8_E4M3";
}

bool all_powers_of_two(std::span<const std::byte> bytes) {
  std::vector<float> scales(bytes.size() / sizeof(float));
  std::memcpy(scales.data(), bytes.data(), bytes.size());
  return std::all_of(scales.begin(), scales.end(), [](float scale) {
    int exponent;
    return std::frexp(scale, &exponent) == 0.5f;
  });
}

// model.layers.2 before model.layers.10: numbers as numbers.
bool comes_before(const std::string& a, const std::string& b) {
  size_t i = 0, j = 0;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  while (i < a.size() && j < b.size()) {
    if (!is_digit(a[i]) || !is_digit(b[j])) {
      if (a[i] != b[j]) return a[i] < b[j];
      ++i, ++j;
      continue;
    }
    const size_t i_end = std::min(a.find_first_not_of("0123456789", i), a.size());
    const size_t j_end = std::min(b.find_first_not_of("0123456789", j), b.size());
    if (i_end - i != j_end - j) return i_end - i < j_end - j;
    if (const int order = a.compare(i, i_end - i, b, j, j_end - j); order != 0) return order < 0;
    i = i_end, j = j_end;
  }
  return a.size() - i < b.size() - j;
}

// Files that a converted folder has of its own, or that hold the weights in another form.
bool holds_weights(const std::string& name) {
  constexpr std::string_view kEndings[] = {".safetensors", ".safetensors.index.json",
                                           ".bin",         ".bin.index.json",
                                           ".pt",          ".pth",
                                           ".gguf",        ".h5",
                                           ".msgpack",     ".onnx"};
  return std::any_of(std::begin(kEndings), std::end(kEndings),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

void copy_file(const std::string& from, const std::string& to) {
  const MappedFile file(from);
  OutputFile copy(to);
  copy.write(file.bytes());
  copy.finish();
}

// The tensor under its names in the reference demo.
WrittenTensor renamed(WrittenTensor tensor) {
  for (SafetensorSpec& spec : tensor.specs) spec.name = reference_name(spec.name).value();
  tensor.write = [write = std::move(tensor.write)](const TensorSink& sink) {
    write([&](std::string_view name, std::span<const std::byte> bytes) {
      sink(reference_name(name).value(), bytes);
    });
  };
  return tensor;
}

}  // namespace

Converter::Converter(const std::string& from, const ConvertOptions& options)
    : folder_(resolve_model_folder(from)),
      options_(options),
      config_(read_config(join_path(folder_, "config.json"))),
      weights_(open_weights(folder_)) {
  check_credible(config_, *weights_);
  ModelConfig checked = config_;
  if (!has_multi_token_weights(checked, *weights_)) checked.num_nextn_predict_layers = 0;
  Decoder decoder(checked);
  check_weights(decoder, *weights_);
  if (options_.names == NamingScheme::kReference && !config_.mla()) {
    fail(ErrorCode::kUsage, "convert: the reference demo runs DeepSeek-V3 and its like; ", folder_,
         " is a ", config_.model_type, " model, whose tensors have no names there");
  }
  gather();
}

// Whatever else a scheme names, the demo has the main model's layers only.
bool Converter::has_reference_name(const std::string& name) const {
  const std::string prefix = "model.layers.";
  if (name.starts_with(prefix) &&
      std::atoll(name.c_str() + prefix.size()) >= config_.num_hidden_layers)
    return false;
  return reference_name(name).has_value();
}

void Converter::gather() {
  std::vector<std::string> names;
  for (const auto& [name, location] : weights_->tensors()) names.push_back(name);
  std::sort(names.begin(), names.end(), comes_before);
  for (const std::string& name : names) {
    const SafetensorEntry& entry = *weights_->at(name).entry;
    if (entry.dtype == "F32" && name.ends_with(".weight_scale_inv")) continue;  // with its codes
    if (options_.names == NamingScheme::kReference && !has_reference_name(name)) {
      ++result_.left_out;
      continue;
    }
    const Shape shape(entry.shape);
    if (entry.dtype == "F8_E4M3") check_fp8_scales(*weights_, name, shape);
    const DType dtype = target(name, entry);
    if (stays(name, entry, dtype)) {
      push(copied(name));
      ++result_.copied;
      if (entry.dtype == "F8_E4M3") push(copied(fp8_scale_name(name)));
    } else {
      push(rounded_tensor(
          name, shape, dtype,
          [this, view = file_view(*weights_, name, shape)](int64_t row, int64_t rows, float* out) {
            rows_to_f32(view, row, row + rows, out);
          },
          options_.power_of_two));
    }
  }
}

// Buffers such as rotary tables are not weights, and stay.
DType Converter::target(const std::string& name, const SafetensorEntry& entry) const {
  const DType own = dtype_from_safetensors(entry.dtype);
  const bool weight = name.ends_with(".weight") || name.ends_with("bias");
  if (!options_.dtype || !weight || !is_float(entry.dtype)) return own;
  if (options_.dtype == DType::kF8E4M3 && own == DType::kF8E4M3) return own;
  return dtype_in_folder(name, Shape(entry.shape), *options_.dtype);
}

bool Converter::stays(const std::string& name, const SafetensorEntry& entry, DType dtype) const {
  if (dtype != dtype_from_safetensors(entry.dtype)) return false;
  return dtype != DType::kF8E4M3 || !options_.power_of_two ||
         all_powers_of_two(weights_->bytes(fp8_scale_name(name)));
}

WrittenTensor Converter::copied(const std::string& name) const {
  const SafetensorsFolder::Location& at = weights_->at(name);
  return copied_tensor({name, at.entry->dtype, at.entry->shape}, at.file->bytes(*at.entry));
}

void Converter::push(WrittenTensor tensor) {
  if (options_.names == NamingScheme::kReference) tensor = renamed(std::move(tensor));
  result_.tensors += static_cast<int64_t>(tensor.specs.size());
  result_.bytes += tensor.bytes();
  result_.fp8 |= std::any_of(tensor.specs.begin(), tensor.specs.end(),
                             [](const SafetensorSpec& spec) { return spec.dtype == "F8_E4M3"; });
  tensors_.push_back(std::move(tensor));
}

Json Converter::new_config() const {
  Json config = parse_json(config_.source_json, folder_);
  if (options_.dtype) {
    set_storage(config, *options_.dtype, options_.power_of_two);
  } else if (options_.power_of_two && result_.fp8) {
    set_storage(config, DType::kF8E4M3, true);
  } else if (result_.fp8 && !config.contains("quantization_config")) {
    set_storage(config, DType::kF8E4M3);
  } else if (!result_.fp8) {
    config.erase("quantization_config");
  }
  return config;
}

void Converter::write(const std::string& to, const ByteProgress& progress) const {
  write_file_atomically(join_path(to, "config.json"), new_config().dump(2) + "\n");
  for (const std::string& name : list_directory(folder_)) {
    const std::string from = join_path(folder_, name);
    if (name.starts_with('.') || name == "config.json" || !is_file(from) || holds_weights(name))
      continue;
    copy_file(from, join_path(to, name));
  }
  WeightFiles files;
  files.shard_bytes = options_.shard_bytes;
  if (options_.names == NamingScheme::kReference) files.single = "model0-mp1.safetensors";
  write_weights(tensors_, to, files, progress);
}

}  // namespace fathom
