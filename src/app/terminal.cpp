#include "app/terminal.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "base/error.h"
#include "base/stop.h"
#include "text/utf8.h"

namespace fathom {

bool input_is_terminal() { return isatty(STDIN_FILENO) == 1; }
bool output_is_terminal() { return isatty(STDOUT_FILENO) == 1; }
bool errors_are_terminal() { return isatty(STDERR_FILENO) == 1; }

namespace {

// Whether the terminal does what escape sequences say.
bool obeys_sequences() {
  const char* kind = std::getenv("TERM");
  return kind != nullptr && *kind != '\0' && std::strcmp(kind, "dumb") != 0;
}

}  // namespace

bool errors_can_be_redrawn() { return errors_are_terminal() && obeys_sequences(); }

bool lines_can_be_edited() { return input_is_terminal() && errors_can_be_redrawn(); }

bool colour_wanted() {
  const char* no_color = std::getenv("NO_COLOR");  // https://no-color.org: set and not empty
  return output_is_terminal() && obeys_sequences() && (no_color == nullptr || *no_color == '\0');
}

bool input_is_piped() {
  struct stat status {};
  if (fstat(STDIN_FILENO, &status) != 0) return false;
  return S_ISREG(status.st_mode) || S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode);
}

std::string visible(std::string_view bytes) {
  constexpr char32_t kEscape = 0x241B, kControlPictures = 0x2400, kDelete = 0x2421;
  const std::string text = replace_invalid_utf8(bytes);
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    if (c == '\n' || c == '\t' || (c >= 0x20 && c < 0x7F) || c > 0x9F) {
      append_utf8(out, c);
    } else if (c < 0x20) {
      append_utf8(out, kControlPictures + c);
    } else if (c == 0x7F) {
      append_utf8(out, kDelete);
    } else {  // U+009B is what ESC [ is, and so on
      append_utf8(out, kEscape);
      append_utf8(out, c - 0x40);
    }
  }
  return out;
}

void print(std::string_view text) { std::cout << text << std::flush; }

bool output_is_open() {
  pollfd output{STDOUT_FILENO, 0, 0};
  return poll(&output, 1, 0) <= 0 || (output.revents & (POLLERR | POLLNVAL)) == 0;
}

bool wait_for_input() {
  // A signal that comes between the look at the flag and the wait interrupts nothing, and it may
  // come to another thread: hence a look now and then.
  constexpr double kLook = 0.2;  // seconds
  while (!stop_requested())
    if (input_arrives(kLook)) return true;
  return false;
}

bool input_arrives(double seconds) {
  pollfd input{STDIN_FILENO, POLLIN, 0};
  return poll(&input, 1, static_cast<int>(1000 * seconds)) > 0;
}

std::string read_standard_input() {
  std::string text;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t count = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (count == 0) return text;
    if (count > 0) {
      text.append(buffer, static_cast<size_t>(count));
    } else if (errno != EINTR) {
      fail(ErrorCode::kRuntime, "cannot read standard input: ", std::strerror(errno));
    }
  }
}

}  // namespace fathom
