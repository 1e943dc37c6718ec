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

#include "io/safetensors_folder.h"
#include "model/decoder.h"

namespace fathom {

// Every tensor of the model must be there with its shape, and nothing else but what the family is
// known to carry besides (copies of embedding and head in a multi-token module, rotary tables,
// layers of absent modules). Error(kModel) names file, tensor, expected, got and the nearest name.
void check_weights(Decoder& decoder, const SafetensorsFolder& folder);
// Told now and then, and in the end, of the bytes read so far and of all there are to read.
using LoadProgress = std::function<void(uint64_t bytes_read, uint64_t total_bytes)>;
// After Decoder::allocate(): values as f32. Stored ones are left alone.
void load_weights(Decoder& decoder, const SafetensorsFolder& folder,
                  const LoadProgress& progress = {});
// Before Decoder::allocate(): matrices that are not f32 in the file stay there, mapped, and take no
// memory (ops/stored.h). For inference. Vectors are loaded.
void keep_stored(Decoder& decoder, std::shared_ptr<const SafetensorsFolder> folder);

// True if the folder holds the weights of the multi-token module that `config` announces; other
// programs drop them.
bool has_multi_token_weights(const ModelConfig& config, const SafetensorsFolder& folder);

// One file, FOLDER/model.safetensors, in `dtype`: kF32, kBF16, kF16, or kF8E4M3 for what is so
// published (checkpoint/fp8_weights.h), the rest then BF16. Correction biases stay F32.
void save_weights(Decoder& decoder, const std::string& folder, DType dtype);

}  // namespace fathom
