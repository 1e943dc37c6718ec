#include "app/logits_file.h"

#include <gtest/gtest.h>

#include "io/testing.h"

namespace fathom {
namespace {

TEST(RowRange, EitherSideMayBeLeftOut) {
  EXPECT_EQ(parse_row_range("2:5", 9).begin, 2);
  EXPECT_EQ(parse_row_range("2:5", 9).end, 5);
  EXPECT_EQ(parse_row_range(":5", 9).begin, 0);
  EXPECT_EQ(parse_row_range("5:", 9).end, 9);
}

TEST(RowRange, NonsenseIsRefused) {
  for (const char* text : {"", "3", "a:b", "5:5", "6:5", "0:10", "-1:3", "9:"}) {
    EXPECT_NE(error_of([&] { parse_row_range(text, 9); }), "") << text;
  }
}

}  // namespace
}  // namespace fathom
