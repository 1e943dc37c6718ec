#include "app/terminal.h"

#include <gtest/gtest.h>

namespace fathom {
namespace {

TEST(Visible, EscapeSequencesAreShownAndNeverSent) {
  EXPECT_EQ(visible("a\033[31mred\033]0;title\a"), "a␛[31mred␛]0;title␇");
  EXPECT_EQ(visible(std::string("\0\x7F\r", 3)), "␀␡␍");
}

TEST(Visible, OneByteFormsOfEscapeSequencesAreShownToo) {
  EXPECT_EQ(visible("\xC2\x9B"
                    "2J"),
            "␛[2J");  // U+009B is CSI
  EXPECT_EQ(visible("\xC2\x80\xC2\x9F"), "␛@␛_");
}

TEST(Visible, BytesThatAreNoCharacterAreReplaced) {
  EXPECT_EQ(visible("a\xFF\x1B"), "a\xEF\xBF\xBD␛");
}

TEST(Visible, OrdinaryTextIsLeftAlone) {
  const std::string text = "line\n\ttab, é 中 🙂 \xC2\xA0 ~";
  EXPECT_EQ(visible(text), text);
}

}  // namespace
}  // namespace fathom
