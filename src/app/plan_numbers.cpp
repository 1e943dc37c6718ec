#include "app/plan_numbers.h"

#include <cmath>
#include <iterator>

#include "base/text.h"
#include "plan/as_double.h"

namespace fathom {

std::string billions(double count) {
  constexpr const char* kUnits[] = {"", "K", "M", "B", "T"};
  size_t unit = 0;
  while (count >= 999.95 && unit + 1 < std::size(kUnits)) {
    count /= 1000;
    ++unit;
  }
  const bool whole = unit == 0 && count == std::floor(count);
  return fixed(count, whole ? 0 : count < 100 ? 2 : 1) + kUnits[unit];
}

std::string billions(int64_t count) { return billions(as_double(count)); }

std::string spaced(int64_t n) {
  std::string text = std::to_string(n);
  for (int64_t at = static_cast<int64_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<size_t>(at), " ");
  return text;
}

std::string counted(int64_t n, const std::string& thing) {
  return concat(n, " ", thing, n == 1 ? "" : "s");
}

std::string gflops(double flops) {
  if (flops < 1e8) return fixed(flops / 1e6, 2) + " M";
  return fixed(flops / 1e9, flops < 1e12 ? 2 : 1) + " G";
}

std::string tflops(double rate) { return fixed(rate / 1e12, 1) + " TFLOP/s"; }

std::string percent(double share) { return fixed(100 * share, 1) + " %"; }

std::string hours(double value) {
  if (value < 1e4) return value >= 100 ? spaced(std::llround(value)) : fixed(value, 2);
  const double thousands = value / 1e3;
  const bool whole = std::abs(thousands - std::round(thousands)) <= 0.05;
  if (value < 1e6 && !whole) return fixed(thousands, 1) + "K";
  return spaced(std::llround(thousands)) + "K";
}

std::string dollars(double value) {
  if (value >= 1e5) return "$" + fixed(value / 1e6, 3) + "M";
  return "$" + (value >= 1000 ? spaced(std::llround(value)) : fixed(value, 2));
}

std::string gigabytes(double bytes) {
  if (bytes < 1e7) return human_bytes(bytes);
  return fixed(bytes / 1e9, bytes < 1e11 ? 2 : 1) + " GB";
}

std::string milliseconds(double seconds) {
  if (seconds < 1e-4) return fixed(seconds * 1e6, 2) + " us";
  return fixed(seconds * 1e3, 2) + " ms";
}

}  // namespace fathom
