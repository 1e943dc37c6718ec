#include "data/expression.h"

#include <gtest/gtest.h>

#include <string>

namespace fathom {
namespace {

TEST(Expression, FollowsPrecedenceAndParentheses) {
  EXPECT_EQ(evaluate_expression("6*(1*5)")->value, 30);
  EXPECT_EQ(evaluate_expression("2+3*4")->value, 14);
  EXPECT_EQ(evaluate_expression("(2+3)*4")->value, 20);
  EXPECT_EQ(evaluate_expression("9-4-3")->value, 2);
  EXPECT_EQ(evaluate_expression("9-(4-3)")->value, 8);
  EXPECT_EQ(evaluate_expression("1-9")->value, -8);
  EXPECT_EQ(evaluate_expression("((7))")->value, 7);
  EXPECT_EQ(evaluate_expression(" 6 * ( 1*5 ) ")->value, 30);
  EXPECT_EQ(evaluate_expression("12+0")->numbers, (std::vector<int32_t>{12, 0}));
}

TEST(Expression, RefusesEverythingElse) {
  for (const std::string text :
       {"",     " ",    "()",   "(",      ")",   "1+", "+1",  "-1",  "1--1", "1**2",
        "1//2", "4/2",  "2(3)", "(1)(2)", "1 2", "01", "1.0", "1e3", "0x1",  "1+2=3",
        "(1+2", "1+2)", "one",  "1,2",    "１",  "−1", "1;2", "1\n"}) {
    EXPECT_FALSE(evaluate_expression(text)) << "'" << text << "'";
  }
  EXPECT_FALSE(evaluate_expression(std::string("1+2\0", 4)));
  EXPECT_FALSE(evaluate_expression(std::string("1\0+2", 4)));
}

TEST(Expression, IsBoundedInLengthDepthAndValue) {
  EXPECT_FALSE(evaluate_expression(std::string(100000, '(')));
  const auto nested = [](size_t depth, size_t closed) {
    std::string text(depth, '(');
    text += "12";
    text.append(closed, ')');
    return text;
  };
  EXPECT_TRUE(evaluate_expression(nested(31, 31)));
  EXPECT_FALSE(evaluate_expression(nested(31, 30)));
  EXPECT_FALSE(evaluate_expression(nested(32, 32)));  // 66 bytes
  EXPECT_FALSE(evaluate_expression("99999999999999999999"));
  EXPECT_FALSE(evaluate_expression("99999*99999"));
  EXPECT_FALSE(evaluate_expression("999999999*999999999*999999999"));
}

}  // namespace
}  // namespace fathom
