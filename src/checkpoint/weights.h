// Weights between a decoder and safetensors files, by published names.
//
// A parameter that stacks several published tensors is read and written part by part. Files may
// hold F32, BF16, F16, F64, or F8_E4M3 with a tensor NAME_scale_inv of F32 factors, one for each
// 128 x 128 elements. Everything is validated before memory is given.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/weight_writer.h"
#include "io/safetensors_folder.h"
#include "model/decoder.h"

namespace fathom {

// Every tensor of the model must be there with its shape, and nothing else but what the family is
// known to carry besides (copies of embedding and head in a multi-token module, rotary tables,
// layers of absent modules). Error(kModel) names file, tensor, expected, got and the nearest name.
void check_weights(Decoder& decoder, const SafetensorsFolder& folder);
// After Decoder::allocate(): values as f32. Stored ones are left alone.
void load_weights(Decoder& decoder, const SafetensorsFolder& folder,
                  const ByteProgress& progress = {});
// Before Decoder::allocate(): matrices that are not f32 in the file stay there, mapped, and take no
// memory (ops/stored.h). For inference. Vectors are loaded.
void keep_stored(Decoder& decoder, std::shared_ptr<const SafetensorsFolder> folder);

// True if the folder holds the weights of the multi-token module that `config` announces; other
// programs drop them.
bool has_multi_token_weights(const ModelConfig& config, const SafetensorsFolder& folder);

// How a folder holds its weights.
struct WeightFormat {
  DType dtype = DType::kF32;  // kF32, kBF16, kF16, or kF8E4M3 for what is so published
                              // (checkpoint/fp8_weights.h), the rest then BF16
  bool power_of_two = false;  // FP8 scales
  int64_t shard_bytes = 0;    // write_weights()
};

// The dtype of one tensor in a folder of `dtype`: correction biases stay F32.
DType dtype_in_folder(std::string_view name, const Shape& shape, DType dtype);

// Rows of a part of a parameter as f32.
using PartReader = std::function<void(const Parameter& p, const ParameterPart& part, int64_t row,
                                      int64_t rows, float* out)>;
// The values in memory.
void read_values(const Parameter& p, const ParameterPart& part, int64_t row, int64_t rows,
                 float* out);

// The tensors of the published layout, which repeats embedding and head inside each multi-token
// module. With another reader than read_values() the decoder needs no memory.
uint64_t saved_bytes(Decoder& decoder, const WeightFormat& format);
void save_weights(Decoder& decoder, const std::string& folder, const WeightFormat& format,
                  const PartReader& read = read_values, const ByteProgress& progress = {});

}  // namespace fathom
