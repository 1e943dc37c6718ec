#include "report/live.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <thread>

namespace fathom {
namespace {

// A FILE whose content can be looked at.
class Capture {
 public:
  Capture() : file_(::open_memstream(&data_, &size_)) {}
  ~Capture() {
    std::fclose(file_);
    std::free(data_);
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  std::FILE* file() { return file_; }
  std::string text() {
    std::fflush(file_);
    return {data_, size_};
  }

 private:
  char* data_ = nullptr;
  size_t size_ = 0;
  std::FILE* file_;
};

// A terminal just clever enough for what a block sends: text, line ends, cursor up, erase.
std::vector<std::string> screen_after(const std::string& sent) {
  std::vector<std::string> rows(1);
  size_t row = 0;
  for (size_t i = 0; i < sent.size(); ++i) {
    if (sent.compare(i, 2, "\x1b[") == 0) {
      const size_t end = sent.find_first_not_of("0123456789;", i + 2);
      if (sent[end] == 'A') row -= static_cast<size_t>(std::stoi(sent.substr(i + 2)));
      if (sent[end] == 'J') rows.resize(row + 1), rows[row].clear();
      i = end;
    } else if (sent[i] == '\n') {
      if (++row == rows.size()) rows.emplace_back();
    } else if (sent[i] != '\r') {
      // Lines begin at the left and are written whole, so the first character empties the row.
      const bool first = i == 0 || sent[i - 1] == '\n' || sent[i - 1] == 'A' || sent[i - 1] == 'J';
      if (first) rows[row].clear();
      rows[row] += sent[i];
    }
  }
  if (rows.back().empty()) rows.pop_back();
  return rows;
}

LiveOptions options_of(int columns, int rows) {
  LiveOptions options;
  options.seconds_between_draws = 0;
  options.terminal = TerminalSize{columns, rows};
  return options;
}

TEST(LiveBlock, RedrawsItsLinesInPlace) {
  Capture capture;
  LiveBlock block(capture.file(), options_of(40, 10));
  block.update({"step 1", "loss 4"});
  block.update({"step 2", "loss 3"});
  EXPECT_EQ(screen_after(capture.text()), (std::vector<std::string>{"step 2", "loss 3"}));
}

TEST(LiveBlock, ShrinksAndGrows) {
  Capture capture;
  LiveBlock block(capture.file(), options_of(40, 10));
  block.update({"a", "b", "c"});
  block.update({"d"});
  EXPECT_EQ(screen_after(capture.text()), std::vector<std::string>{"d"});
  block.update({"e", "f"});
  EXPECT_EQ(screen_after(capture.text()), (std::vector<std::string>{"e", "f"}));
}

TEST(LiveBlock, KeepsPrintedLinesAbove) {
  Capture capture;
  LiveBlock block(capture.file(), options_of(40, 10));
  block.update({"one", "two"});
  block.print_above("saved step 100");
  block.print_above("saved step 200");
  block.update({"three"});
  EXPECT_EQ(screen_after(capture.text()),
            (std::vector<std::string>{"saved step 100", "saved step 200", "three"}));
}

TEST(LiveBlock, LeavesAFinishedBlockAndStartsBelow) {
  Capture capture;
  LiveBlock block(capture.file(), options_of(40, 10));
  block.update({"one"});
  block.finish();
  block.update({"two"});
  EXPECT_EQ(screen_after(capture.text()), (std::vector<std::string>{"one", "two"}));
}

TEST(LiveBlock, VanishesWhenCleared) {
  Capture capture;
  LiveBlock block(capture.file(), options_of(40, 10));
  block.update({"one", "two"});
  block.clear();
  EXPECT_TRUE(screen_after(capture.text()).empty());
}

TEST(LiveBlock, NeverExceedsTheScreen) {
  Capture capture;
  LiveBlock block(capture.file(), options_of(10, 4));
  block.update({"0123456789abc", "2", "3", "4", "5"});
  EXPECT_EQ(screen_after(capture.text()), (std::vector<std::string>{"01234567…", "2", "3"}));
}

TEST(LiveBlock, SkipsDrawingsThatComeTooFastAndDrawsTheLastOne) {
  Capture capture;
  {
    LiveOptions options = options_of(40, 10);
    options.seconds_between_draws = 1000;
    LiveBlock block(capture.file(), options);
    block.update({"first"});
    const size_t drawn = capture.text().size();
    for (int i = 0; i < 100; ++i) block.update({"hasty"});
    block.update({"last"});
    EXPECT_EQ(capture.text().size(), drawn);
  }
  EXPECT_EQ(screen_after(capture.text()), std::vector<std::string>{"last"});
}

TEST(LiveBlock, DrawsAgainAfterTheInterval) {
  Capture capture;
  LiveOptions options = options_of(40, 10);
  options.seconds_between_draws = 0.01;
  LiveBlock block(capture.file(), options);
  block.update({"first"});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  block.update({"second"});
  EXPECT_EQ(screen_after(capture.text()), std::vector<std::string>{"second"});
}

TEST(LiveBlock, IsSilentInAPipeButPrintsLines) {
  Capture capture;
  {
    LiveBlock block(capture.file());
    EXPECT_FALSE(block.is_drawing());
    block.update({"one"});
    block.print_above("plain");
  }
  EXPECT_EQ(capture.text(), "plain\n");
}

TEST(TerminalSize, HasADefaultWhereThereIsNoTerminal) {
  Capture capture;
  EXPECT_EQ(terminal_size(capture.file()).columns, 80);
  EXPECT_EQ(terminal_size(capture.file()).rows, 24);
}

TEST(DisplayWidth, CountsColumnsInsteadOfBytes) {
  EXPECT_EQ(display_width("abc"), 3);
  EXPECT_EQ(display_width("é▁"), 2);
  EXPECT_EQ(display_width("深度"), 4);
  EXPECT_EQ(display_width("🐋"), 2);
  EXPECT_EQ(display_width("e\xCC\x81"), 1);
  EXPECT_EQ(display_width("\x1b[1;31mred\x1b[0m"), 3);
  EXPECT_EQ(display_width("\xFF\xC3"), 2);
}

TEST(Fitted, CutsAtAColumnAndSaysSo) {
  EXPECT_EQ(fitted("abcdef", 6), "abcdef");
  EXPECT_EQ(fitted("abcdefg", 6), "abcde…");
  EXPECT_EQ(fitted("深度求索", 6), "深度…");
  EXPECT_EQ(fitted("abc", 0), "");
  EXPECT_EQ(fitted("\x1b[31mabcdef", 4), "\x1b[31mabc…\x1b[0m");
}

TEST(Fitted, LetsNoControlCharacterMoveTheCursor) {
  EXPECT_EQ(fitted("a\nb\r\x1b[2Jc\x7f", 20), "a b  [2Jc ");
  EXPECT_EQ(fitted("\xC2\x9B"
                   "2J",
                   20),
            " 2J");
  EXPECT_EQ(fitted("\xFFx", 20), "\xEF\xBF\xBDx");
}

TEST(Sparkline, GoesFromTheLeastToTheGreatest) {
  const std::vector<double> values = {0, 1, 2, 3, 4, 5, 6, 7};
  EXPECT_EQ(sparkline(values, 20), "▁▂▃▄▅▆▇█");
  EXPECT_EQ(sparkline(values, 4), "▁▃▆█");
  EXPECT_EQ(sparkline(std::vector<double>{5, 5}, 20), "▅▅");
  EXPECT_EQ(sparkline(std::vector<double>{1, NAN, 2, INFINITY}, 20), "▁ █ ");
  EXPECT_EQ(sparkline({}, 20), "");
  EXPECT_EQ(sparkline(values, 0), "");
}

TEST(Bar, FillsEighthsOfAColumn) {
  EXPECT_EQ(bar(0, 4), "    ");
  EXPECT_EQ(bar(1, 4), "████");
  EXPECT_EQ(bar(0.5, 4), "██  ");
  EXPECT_EQ(bar(0.53125, 4), "██▏ ");
  EXPECT_EQ(bar(7, 2), "██");
  EXPECT_EQ(bar(NAN, 2), "  ");
}

TEST(Heat, ShadesSharesOfTheFullValue) {
  EXPECT_EQ(heat(std::vector<double>{0, 1, 2, 3, 4, 9}, 4, 20), " ░▒▓██");
  EXPECT_EQ(heat(std::vector<double>{0, 4}, 4, 1), "▒");
  EXPECT_EQ(heat(std::vector<double>{1, NAN}, 0, 20), "  ");
}

}  // namespace
}  // namespace fathom
