#include "data/expression.h"

#include <cstdlib>

namespace fathom {
namespace {

constexpr size_t kMaxBytes = 64;           // bounds the recursion too
constexpr int64_t kLimit = 1'000'000'000;  // products of two values below it fit 64 bits

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// sum = product {(+|-) product};  product = atom {* atom};  atom = number | ( sum )
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::optional<ExpressionValue> whole() {
    const std::optional<int64_t> value = sum();
    if (!value || peek() != '\0' || at_ != text_.size()) return std::nullopt;
    return ExpressionValue{*value, numbers_};
  }

 private:
  // The next symbol, or NUL at the end; a NUL in the text is no symbol, so both end the expression.
  char peek() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  static std::optional<int64_t> bounded(int64_t value) {
    if (std::abs(value) > kLimit) return std::nullopt;
    return value;
  }

  std::optional<int64_t> sum() {
    std::optional<int64_t> left = product();
    while (left && (peek() == '+' || peek() == '-')) {
      const bool add = text_[at_++] == '+';
      const std::optional<int64_t> right = product();
      if (!right) return std::nullopt;
      left = bounded(add ? *left + *right : *left - *right);
    }
    return left;
  }

  std::optional<int64_t> product() {
    std::optional<int64_t> left = atom();
    while (left && peek() == '*') {
      ++at_;
      const std::optional<int64_t> right = atom();
      if (!right) return std::nullopt;
      left = bounded(*left * *right);
    }
    return left;
  }

  std::optional<int64_t> atom() {
    if (peek() != '(') return number();
    ++at_;
    const std::optional<int64_t> inner = sum();
    if (!inner || peek() != ')') return std::nullopt;
    ++at_;
    return inner;
  }

  std::optional<int64_t> number() {
    const size_t start = at_;
    int64_t value = 0;
    while (at_ < text_.size() && is_digit(text_[at_])) {
      value = value * 10 + (text_[at_++] - '0');
      if (value > kLimit) return std::nullopt;
    }
    const size_t digits = at_ - start;
    if (digits == 0 || (digits > 1 && text_[start] == '0')) return std::nullopt;
    numbers_.push_back(static_cast<int32_t>(value));
    return value;
  }

  std::string_view text_;
  size_t at_ = 0;
  std::vector<int32_t> numbers_;
};

}  // namespace

std::optional<ExpressionValue> evaluate_expression(std::string_view text) {
  if (text.size() > kMaxBytes) return std::nullopt;
  return Parser(text).whole();
}

}  // namespace fathom
