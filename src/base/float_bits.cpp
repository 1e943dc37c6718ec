#include "base/float_bits.h"

#include <cmath>

namespace fathom {

float f16_to_f32(uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const int mantissa = bits & 1023;
  float magnitude;
  if (exponent == 31) {
    magnitude = mantissa == 0 ? INFINITY : NAN;
  } else if (exponent == 0) {
    magnitude = std::ldexp(static_cast<float>(mantissa), -24);
  } else {
    magnitude = std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
  }
  return bits & 0x8000 ? -magnitude : magnitude;
}

uint16_t f32_to_f16(float value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const float magnitude = std::fabs(value);
  if (std::isnan(value)) return static_cast<uint16_t>(sign | 0x7E00);
  if (magnitude >= 65520.0f) return static_cast<uint16_t>(sign | 0x7C00);
  if (magnitude < 0x1.0p-14f) {  // subnormal: units of 2^-24; nearbyint rounds ties to even
    return static_cast<uint16_t>(sign |
                                 static_cast<uint16_t>(std::nearbyint(std::ldexp(magnitude, 24))));
  }
  int exponent;
  const float fraction = std::frexp(magnitude, &exponent);                          // [0.5, 1)
  const auto rounded = static_cast<int>(std::nearbyint(std::ldexp(fraction, 11)));  // 1024 … 2048
  return static_cast<uint16_t>(sign | (((exponent + 13) << 10) + rounded));
}

float f8e4m3_to_f32(uint8_t bits) {
  const int exponent = (bits >> 3) & 15, mantissa = bits & 7;
  float magnitude;
  if (exponent == 15 && mantissa == 7) {
    magnitude = NAN;
  } else if (exponent == 0) {
    magnitude = std::ldexp(static_cast<float>(mantissa), -9);
  } else {
    magnitude = std::ldexp(static_cast<float>(mantissa + 8), exponent - 10);
  }
  return bits & 0x80 ? -magnitude : magnitude;
}

uint8_t f32_to_f8e4m3(float value) {
  const int sign = std::signbit(value) ? 0x80 : 0;
  const float magnitude = std::fabs(value);
  const auto with_sign = [sign](int code) { return static_cast<uint8_t>(sign | code); };
  if (std::isnan(value)) return with_sign(0x7f);
  if (magnitude >= 448.0f) return with_sign(0x7e);
  if (magnitude < 0x1.0p-6f)  // subnormal: units of 2^-9; nearbyint rounds ties to even
    return with_sign(static_cast<int>(std::nearbyint(std::ldexp(magnitude, 9))));
  int exponent;
  const float fraction = std::frexp(magnitude, &exponent);                         // [0.5, 1)
  const auto rounded = static_cast<int>(std::nearbyint(std::ldexp(fraction, 4)));  // 8 … 16
  return with_sign(((exponent + 5) << 3) + rounded);
}

}  // namespace fathom
