// A block of lines at the bottom of a terminal that is redrawn in place, and small pictures made of
// text: sparklines, bars and heat strips.
//
// In a pipe the block draws nothing, so that callers print plain lines there instead.
//
// Threads: one thread at a time.  Lifetime: the FILE outlives the block.
#pragma once

#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fathom {

struct TerminalSize {
  int columns = 80;
  int rows = 24;
};

bool is_terminal(std::FILE* file);
TerminalSize terminal_size(std::FILE* file);  // 80 x 24 where the system does not know

// How many columns `text` takes: wide characters two, combining ones and colour sequences none.
int display_width(std::string_view text);
// The longest beginning of `text` that fits into `columns`; a text that is cut ends in "…". Line
// breaks and other control characters become spaces; colour sequences stay and are closed.
std::string fitted(std::string_view text, int columns);

// One character a value from ▁ (the least) to █ (the greatest), newest last; more values than
// `width` are averaged in groups. A value that is not finite is a space.
std::string sparkline(std::span<const double> values, int width);
// A bar `width` columns long, filled to `fraction` of 1 in steps of an eighth of a column.
std::string bar(double fraction, int width);
// One character a value, from space (0) over ░▒▓ to █ (`full` and above), such as the load of
// experts.
std::string heat(std::span<const double> values, double full, int width);

struct LiveOptions {
  double seconds_between_draws = 0.1;
  std::optional<TerminalSize> terminal;  // set: draw even if the file is no terminal, in this size
};

class LiveBlock {
 public:
  explicit LiveBlock(std::FILE* out, const LiveOptions& options = {});
  ~LiveBlock();
  LiveBlock(const LiveBlock&) = delete;
  LiveBlock& operator=(const LiveBlock&) = delete;

  bool is_drawing() const { return drawing_; }  // false in a pipe

  // Shows these lines in place of the ones before; soon after the last drawing it only keeps them.
  void update(std::vector<std::string> lines);
  // Prints a line that stays, above the block. In a pipe it is just printed.
  void print_above(std::string_view line);
  // Draws what update() kept and leaves it on the screen; the next update starts a new block.
  void finish();
  // Removes the block from the screen.
  void clear();

 private:
  void draw(std::string_view above);

  std::FILE* out_;
  LiveOptions options_;
  bool drawing_;
  std::vector<std::string> lines_;
  bool is_pending_ = false;  // lines_ differ from the screen
  int drawn_rows_ = 0;       // of the block now on the screen
  double last_draw_ = 0;     // seconds, 0 before the first
};

}  // namespace fathom
