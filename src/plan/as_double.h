// Counts as numbers to divide by. Up to 2^53 nothing is lost, and rounding beyond is no matter
// here.
#pragma once

#include <cstdint>

namespace fathom {

constexpr double as_double(int64_t count) { return static_cast<double>(count); }

}  // namespace fathom
