// Element types, and the one place that turns a DType into a C++ type.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace fathom {

enum class DType : uint8_t { kF64, kF32, kBF16, kF16, kF8E4M3, kI64, kI32, kU8 };

struct DTypeInfo {
  const char* name;         // "f32"
  const char* safetensors;  // "F32"
  int block_elements;  // 1 for plain types; block-quantised types hold several elements in a block
  int block_bytes;
};

const DTypeInfo& info(DType dtype);
DType dtype_from_safetensors(std::string_view name);  // throws Error(kModel) naming the known ones
DType parse_dtype(std::string_view name);             // "f32", "bf16", …; throws Error(kUsage)

inline int64_t byte_size(DType dtype, int64_t elements) {
  return elements / info(dtype).block_elements * info(dtype).block_bytes;
}

template <class T>
constexpr DType dtype_of();
template <>
constexpr DType dtype_of<double>() {
  return DType::kF64;
}
template <>
constexpr DType dtype_of<float>() {
  return DType::kF32;
}
template <>
constexpr DType dtype_of<int64_t>() {
  return DType::kI64;
}
template <>
constexpr DType dtype_of<int32_t>() {
  return DType::kI32;
}
template <>
constexpr DType dtype_of<uint8_t>() {
  return DType::kU8;
}

// Calls fn(T{}) with T = float or double: how every reference kernel chooses its arithmetic.
template <class Fn>
void dispatch_float(DType dtype, const char* where, Fn&& fn) {
  if (dtype == DType::kF32) return std::forward<Fn>(fn)(float{});
  if (dtype == DType::kF64) return std::forward<Fn>(fn)(double{});
  fail(ErrorCode::kInternal, where, ": expected f32 or f64, got ", info(dtype).name);
}

}  // namespace fathom
