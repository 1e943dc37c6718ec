// Integer expressions of + - * and parentheses: what countdown answers are written in.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace fathom {

struct ExpressionValue {
  int64_t value = 0;
  std::vector<int32_t> numbers;  // those that occur, from left to right
};

// Nothing if `text` is no expression, is longer than 64 bytes, or meets a value beyond a thousand
// million on the way. Spaces may stand between symbols; signs, leading zeros and anything else may
// not occur.
std::optional<ExpressionValue> evaluate_expression(std::string_view text);

}  // namespace fathom
