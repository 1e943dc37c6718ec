#include "report/live.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "base/clock.h"

namespace fathom {
namespace {

struct Character {
  std::string_view bytes;
  uint32_t code = 0;
  bool is_colour = false;  // a sequence such as ESC[1;31m, of no width
};

// The sequence that begins at `text[0]`, or an empty view: ESC [ digits and ; m
std::string_view colour_sequence(std::string_view text) {
  if (!text.starts_with("\x1b[")) return {};
  const size_t end = text.find_first_not_of("0123456789;", 2);
  if (end == std::string_view::npos || text[end] != 'm') return {};
  return text.substr(0, end + 1);
}

// The next character of a text that may hold any bytes; a damaged one is taken as one byte.
Character next_character(std::string_view text) {
  if (const std::string_view colour = colour_sequence(text); !colour.empty()) {
    return {colour, 0, true};
  }
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t length = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  uint32_t code = length == 1 ? lead : lead & (0xFFu >> (length + 1));
  if (length > text.size()) return {text.substr(0, 1), 0xFFFD};
  for (size_t i = 1; i < length; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte & 0xC0) != 0x80) return {text.substr(0, 1), 0xFFFD};
    code = code << 6 | (byte & 0x3F);
  }
  if (length == 1 && lead >= 0x80) code = 0xFFFD;
  return {text.substr(0, length), code};
}

struct CodeRange {
  uint32_t first;
  uint32_t last;
};
// Coarse, after Unicode's East Asian Width and the emoji: enough to keep a line on a line.
constexpr std::array<CodeRange, 11> kWide = {{{0x1100, 0x115F},
                                              {0x2E80, 0x303E},
                                              {0x3041, 0xA4CF},
                                              {0xAC00, 0xD7A3},
                                              {0xF900, 0xFAFF},
                                              {0xFE30, 0xFE6F},
                                              {0xFF00, 0xFF60},
                                              {0xFFE0, 0xFFE6},
                                              {0x1F300, 0x1F64F},
                                              {0x1F680, 0x1FAFF},
                                              {0x20000, 0x3FFFD}}};
constexpr std::array<CodeRange, 6> kCombining = {{{0x0300, 0x036F},
                                                  {0x200B, 0x200F},
                                                  {0x20D0, 0x20FF},
                                                  {0xFE00, 0xFE0F},
                                                  {0xFE20, 0xFE2F},
                                                  {0xFEFF, 0xFEFF}}};

bool is_among(uint32_t code, std::span<const CodeRange> ranges) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const CodeRange& range) {
    return code >= range.first && code <= range.last;
  });
}

int width_of(const Character& character) {
  if (character.is_colour || is_among(character.code, kCombining)) return 0;
  return is_among(character.code, kWide) ? 2 : 1;
}

bool is_control(uint32_t code) { return code < 0x20 || (code >= 0x7F && code < 0xA0); }

// At most `width` values: groups of neighbours averaged, values that are not finite left out.
std::vector<double> resampled(std::span<const double> values, int width) {
  const size_t count = std::min(values.size(), static_cast<size_t>(std::max(width, 0)));
  std::vector<double> result;
  for (size_t i = 0; i < count; ++i) {
    const auto group = values.subspan(i * values.size() / count,
                                      (i + 1) * values.size() / count - i * values.size() / count);
    double sum = 0;
    int finite = 0;
    for (const double value : group) {
      if (!std::isfinite(value)) continue;
      sum += value;
      ++finite;
    }
    result.push_back(finite > 0 ? sum / finite : NAN);
  }
  return result;
}

}  // namespace

bool is_terminal(std::FILE* file) { return ::isatty(::fileno(file)) == 1; }

TerminalSize terminal_size(std::FILE* file) {
  winsize size{};
  if (::ioctl(::fileno(file), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return {};
  return {size.ws_col, size.ws_row > 0 ? size.ws_row : TerminalSize{}.rows};
}

int display_width(std::string_view text) {
  int width = 0;
  while (!text.empty()) {
    const Character character = next_character(text);
    width += width_of(character);
    text.remove_prefix(character.bytes.size());
  }
  return width;
}

std::string fitted(std::string_view text, int columns) {
  const bool is_cut = display_width(text) > columns;
  int left = is_cut ? columns - 1 : columns;  // one for the ellipsis
  std::string result;
  bool has_colour = false;
  while (!text.empty()) {
    const Character character = next_character(text);
    text.remove_prefix(character.bytes.size());
    left -= width_of(character);
    if (left < 0) break;
    has_colour |= character.is_colour;
    if (character.code == 0xFFFD) {
      result += "\xEF\xBF\xBD";
    } else if (!character.is_colour && is_control(character.code)) {
      result += ' ';
    } else {
      result += character.bytes;
    }
  }
  if (is_cut && columns > 0) result += "…";
  if (has_colour) result += "\x1b[0m";
  return result;
}

std::string sparkline(std::span<const double> values, int width) {
  constexpr std::array<const char*, 8> kLevels = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const std::vector<double> shown = resampled(values, width);
  double least = INFINITY;
  double greatest = -INFINITY;
  for (const double value : shown) {
    if (std::isnan(value)) continue;
    least = std::min(least, value);
    greatest = std::max(greatest, value);
  }
  std::string text;
  for (const double value : shown) {
    // Equal values have no least and greatest; they lie in the middle.
    const double height = greatest > least ? (value - least) / (greatest - least) : 0.5;
    text += std::isnan(value) ? " " : kLevels[static_cast<size_t>(std::min(height * 8, 7.0))];
  }
  return text;
}

std::string bar(double fraction, int width) {
  constexpr std::array<const char*, 8> kEighths = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const double filled = std::isnan(fraction) ? 0 : std::clamp(fraction, 0.0, 1.0);
  const long eighths = std::lround(filled * 8 * width);
  std::string text;
  for (long column = 0; column < width; ++column) {
    const long rest = std::clamp(eighths - column * 8, 0L, 8L);
    text += rest == 8 ? "█" : kEighths[static_cast<size_t>(rest)];
  }
  return text;
}

std::string heat(std::span<const double> values, double full, int width) {
  constexpr std::array<const char*, 5> kShades = {" ", "░", "▒", "▓", "█"};
  std::string text;
  for (const double value : resampled(values, width)) {
    const double share = full > 0 && !std::isnan(value) ? std::clamp(value / full, 0.0, 1.0) : 0.0;
    text += kShades[static_cast<size_t>(std::lround(share * 4))];
  }
  return text;
}

LiveBlock::LiveBlock(std::FILE* out, const LiveOptions& options)
    : out_(out), options_(options), drawing_(options.terminal.has_value() || is_terminal(out)) {}

LiveBlock::~LiveBlock() { finish(); }

void LiveBlock::update(std::vector<std::string> lines) {
  if (!drawing_) return;
  lines_ = std::move(lines);
  is_pending_ = true;
  if (last_draw_ > 0 && now_seconds() - last_draw_ < options_.seconds_between_draws) return;
  draw("");
}

void LiveBlock::print_above(std::string_view line) {
  if (!drawing_) {
    std::fprintf(out_, "%.*s\n", static_cast<int>(line.size()), line.data());
    std::fflush(out_);
    return;
  }
  draw("\x1b[J" + std::string(line) + "\n");
}

void LiveBlock::finish() {
  if (is_pending_) draw("");
  lines_.clear();
  drawn_rows_ = 0;
}

void LiveBlock::clear() {
  lines_.clear();
  if (drawn_rows_ > 0) draw("");
  is_pending_ = false;
}

// Goes to the top of the block, writes `above` there, and the block below it; in one write, so that
// a terminal shows no half of it.
void LiveBlock::draw(std::string_view above) {
  const TerminalSize size = options_.terminal ? *options_.terminal : terminal_size(out_);
  std::string text;
  if (drawn_rows_ > 0) text += "\r\x1b[" + std::to_string(drawn_rows_) + "A";
  text += above;
  // A block as high as the screen would scroll, and its top could not be reached again.
  drawn_rows_ = std::min(static_cast<int>(lines_.size()), std::max(size.rows - 1, 1));
  for (int row = 0; row < drawn_rows_; ++row) {
    // Some terminals wrap when the last column is written, so it stays free.
    text += fitted(lines_[static_cast<size_t>(row)], size.columns - 1) + "\x1b[K\n";
  }
  text += "\x1b[J";  // what a higher block left below
  std::fwrite(text.data(), 1, text.size(), out_);
  std::fflush(out_);
  last_draw_ = now_seconds();
  is_pending_ = false;
}

}  // namespace fathom
