#include "tensor/dtype.h"

#include <array>

namespace fathom {
namespace {

constexpr std::array<DTypeInfo, 8> kInfo = {{
    {"f64", "F64", 1, 8},
    {"f32", "F32", 1, 4},
    {"bf16", "BF16", 1, 2},
    {"f16", "F16", 1, 2},
    {"f8_e4m3", "F8_E4M3", 1, 1},
    {"i64", "I64", 1, 8},
    {"i32", "I32", 1, 4},
    {"u8", "U8", 1, 1},
}};

}  // namespace

const DTypeInfo& info(DType dtype) { return kInfo[static_cast<size_t>(dtype)]; }

DType dtype_from_safetensors(std::string_view name) {
  for (size_t i = 0; i < kInfo.size(); ++i) {
    if (name == kInfo[i].safetensors) return static_cast<DType>(i);
  }
  fail(ErrorCode::kModel, "safetensors: unsupported dtype ", name,
       "; supported are F64, F32, BF16, F16, F8_E4M3, I64, I32 and U8");
}

DType parse_dtype(std::string_view name) {
  std::vector<std::string> names;
  for (size_t i = 0; i < kInfo.size(); ++i) {
    if (name == kInfo[i].name) return static_cast<DType>(i);
    names.emplace_back(kInfo[i].name);
  }
  fail(ErrorCode::kUsage, "unknown dtype '", name, "'; expected f32, bf16 or f16",
       did_you_mean(name, names));
}

}  // namespace fathom
