// Building text: concat (GCC 12 has no std::format), numbers for people, the nearest of some names.
#pragma once

#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace fathom {

// Everything that prints to a stream, one after the other.
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

std::string fixed(double value, int digits);  // "3.14"
std::string human_bytes(double bytes);        // "1.5 GB" (powers of 1000)
std::string human_count(double count);        // "928.6 K", "1.3 M"
std::string human_seconds(double seconds);    // "850 ms", "12.3 s", "2 min 05 s", "1 h 02 min"

// The candidates that resemble `name` most (edit distance), best first, at most `limit`, none that
// share nothing.
std::vector<std::string> nearest_names(std::string_view name,
                                       const std::vector<std::string>& candidates,
                                       size_t limit = 3);
// "; did you mean --data, --out?" or "" when nothing is near.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace fathom
