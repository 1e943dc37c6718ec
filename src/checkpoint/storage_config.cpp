#include "checkpoint/storage_config.h"

#include "tensor/view.h"

namespace fathom {
namespace {

Json fp8_config(bool power_of_two) {
  Json json = Json::object(
      {{"quant_method", "fp8"},
       {"fmt", "e4m3"},
       {"activation_scheme", "dynamic"},
       {"weight_block_size", Json::array({BlockScales::kBlock, BlockScales::kBlock})}});
  if (power_of_two) json["scale_fmt"] = "ue8m0";
  return json;
}

// Of what is not FP8 in the folder.
const char* torch_name(DType dtype) {
  if (dtype == DType::kF32) return "float32";
  return dtype == DType::kF16 ? "float16" : "bfloat16";
}

}  // namespace

void set_storage(Json& config, DType dtype, bool power_of_two) {
  config["torch_dtype"] = torch_name(dtype);
  if (config.contains("dtype")) config["dtype"] = torch_name(dtype);
  if (dtype == DType::kF8E4M3) {
    config["quantization_config"] = fp8_config(power_of_two);
  } else {
    config.erase("quantization_config");
  }
}

}  // namespace fathom
