// One model folder from another: other dtypes, other files, other names, the same model.
//
// Nothing is held in memory but the piece at hand. Threads: one caller; rounding is shared by the
// compute threads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/tensor_names.h"
#include "checkpoint/weight_writer.h"
#include "io/json.h"
#include "model/model_config.h"

namespace fathom {

struct ConvertOptions {
  std::optional<DType> dtype = {};  // kF32, kBF16, kF16, kF8E4M3; absent: as they are
  bool power_of_two = false;        // the scales of what is FP8 in the end
  int64_t shard_bytes = 0;          // write_weights()
  NamingScheme names = NamingScheme::kPublished;
};

struct Conversion {
  int64_t tensors = 0;   // that are written, scales among them
  int64_t copied = 0;    // of these, kept byte for byte (without counting their scales)
  int64_t left_out = 0;  // for which the naming scheme has no names
  uint64_t bytes = 0;    // of the tensors written
  bool fp8 = false;      // some are
};

// Values that are in the wanted type already are copied byte for byte.
class Converter {
 public:
  // Everything is checked, as for running the model, before anything is written.
  Converter(const std::string& from, const ConvertOptions& options);
  Converter(const Converter&) = delete;
  Converter& operator=(const Converter&) = delete;

  const Conversion& result() const { return result_; }
  const std::string& folder() const { return folder_; }  // that is read
  // Fills `to`, which exists: weights; config.json with the keys of their storage changed and all
  // others kept; every other file of the folder that does not hold weights.
  void write(const std::string& to, const ByteProgress& progress = {}) const;

 private:
  void gather();
  bool has_reference_name(const std::string& name) const;
  DType target(const std::string& name, const SafetensorEntry& entry) const;
  bool stays(const std::string& name, const SafetensorEntry& entry, DType dtype) const;
  WrittenTensor copied(const std::string& name) const;
  void push(WrittenTensor tensor);
  Json new_config() const;

  std::string folder_;
  ConvertOptions options_;
  ModelConfig config_;
  std::shared_ptr<const SafetensorsFolder> weights_;
  std::vector<WrittenTensor> tensors_;
  Conversion result_;
};

}  // namespace fathom
