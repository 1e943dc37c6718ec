#include "nn/make_parameter.h"

#include <algorithm>

namespace fathom {
namespace {

std::string with_number(const std::string& pattern, int64_t number) {
  const size_t hole = pattern.find("{}");
  FATHOM_CHECK(hole != std::string::npos, "expert parameter: no {} in ", pattern);
  return pattern.substr(0, hole) + std::to_string(number) + pattern.substr(hole + 2);
}

}  // namespace

Parameter matrix_parameter(const std::string& name, int64_t rows, int64_t cols) {
  return stacked_parameter(name, cols, {{name, rows}});
}

Parameter vector_parameter(const std::string& name, int64_t size) {
  return joined_vectors(name, {{name, size}});
}

Parameter joined_vectors(const std::string& name,
                         const std::vector<std::pair<std::string, int64_t>>& parts) {
  Parameter p;
  p.name = name;
  int64_t size = 0;
  for (const auto& [part, part_size] : parts) {
    p.parts.push_back({part, size, Shape{part_size}});
    size += part_size;
  }
  p.declared = Shape{size};
  p.decay = false;
  return p;
}

Parameter stacked_parameter(const std::string& name, int64_t cols,
                            const std::vector<std::pair<std::string, int64_t>>& parts) {
  Parameter p;
  p.name = name;
  int64_t rows = 0;
  for (const auto& [part, part_rows] : parts) {
    p.parts.push_back({part, rows, Shape{part_rows, cols}});
    rows += part_rows;
  }
  p.declared = Shape{rows, cols};
  return p;
}

Parameter expert_parameter(const std::string& name, int64_t experts, int64_t cols,
                           const std::vector<std::pair<std::string, int64_t>>& parts) {
  Parameter p;
  p.name = name;
  int64_t rows = 0;
  for (int64_t e = 0; e < experts; ++e) {
    for (const auto& [pattern, part_rows] : parts) {
      p.parts.push_back({with_number(pattern, e), rows, Shape{part_rows, cols}});
      rows += part_rows;
    }
  }
  p.declared = Shape{experts, rows / std::max<int64_t>(experts, 1), cols};
  return p;
}

}  // namespace fathom
