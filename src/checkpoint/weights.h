// Weights between a decoder and safetensors files, by published names.
//
// A parameter that stacks several published tensors is read and written part by part. Values are
// f32 in memory; files may hold F32, BF16, F16 or F64. Everything is validated before memory is
// given.
#pragma once

#include <string>
#include <vector>

#include "io/safetensors_folder.h"
#include "model/decoder.h"

namespace fathom {

// Every tensor of the model must be there with its shape, and nothing else but what the family is
// known to carry besides (copies of embedding and head in a multi-token module, rotary tables,
// layers of absent modules). Error(kModel) names file, tensor, expected, got and the nearest name.
void check_weights(Decoder& decoder, const SafetensorsFolder& folder);
void load_weights(Decoder& decoder, const SafetensorsFolder& folder);

// True if the folder holds the weights of the multi-token module that `config` announces; other
// programs drop them.
bool has_multi_token_weights(const ModelConfig& config, const SafetensorsFolder& folder);

// One file, FOLDER/model.safetensors. Correction biases stay F32 whatever `dtype` (kF32 or kBF16).
void save_weights(Decoder& decoder, const std::string& folder, DType dtype);

}  // namespace fathom
