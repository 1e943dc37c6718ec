// What is inside a model folder, a safetensors file, a config.json or a preset: gathered, believed
// only after it was checked, then told as text or JSON.
//
// Threads: values and pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "io/json.h"
#include "model/model_config.h"
#include "text/facts.h"
#include "text/tokenizer.h"

namespace fathom {

struct TensorRow {
  std::string name, dtype, file;
  std::vector<int64_t> shape;
  uint64_t bytes = 0;

  int64_t elements() const;
};

// How a conversation is put to the model.
struct TemplateRow {
  std::string source;  // a file's path, or "built-in NAME"; empty: there is none
  std::string why;     // of a built-in one: what showed the family
  FormatFacts facts;
  std::string fault;  // it is there and cannot be used
};

// What config.json says of quantised weights.
struct Quantization {
  std::string method, format;  // "fp8", "e4m3"
  std::vector<int64_t> block;  // [rows, cols] that share a scale
  std::string scales = "f32";  // "ue8m0": powers of two
  std::string activations;     // "dynamic"; empty: not said
};

struct Inspection {
  std::string path;
  bool has_weights = true;            // false: a shape alone
  std::optional<ModelConfig> config;  // of a folder or a shape
  std::optional<Quantization> quantization;
  std::optional<Tokenizer> tokenizer;
  TemplateRow conversation;  // where there is a tokenizer
  bool multi_token_weights = false;
  std::vector<TensorRow> tensors;
  std::map<std::string, std::string> metadata;  // of a file
  uint64_t bytes = 0;
};

// Error(kModel) where anything but the chat template is at fault.
Inspection inspect_path(const std::string& path);

std::string inspection_text(const Inspection& found, bool all_tensors);
Json inspection_json(const Inspection& found);

}  // namespace fathom
