// bf16, f16 and FP8 E4M3 as bits. Rounding to bf16 is to nearest, ties to even, everywhere in
// Fathom.
#pragma once

#include <bit>
#include <cstdint>

namespace fathom {

inline float bf16_to_f32(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

inline uint16_t f32_to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u)
    return static_cast<uint16_t>((bits >> 16) | 0x40u);  // NaN stays NaN
  return static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

float f16_to_f32(uint16_t bits);
uint16_t f32_to_f16(float value);

// E4M3 without infinities ("e4m3fn", arXiv:2209.05433): bias 7, subnormals in steps of 2^-9,
// largest 448; 0x7f and 0xff are NaN. Values beyond saturate, infinite ones too.
float f8e4m3_to_f32(uint8_t bits);
uint8_t f32_to_f8e4m3(float value);

}  // namespace fathom
