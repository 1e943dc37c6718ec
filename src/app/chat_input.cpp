#include "app/chat_input.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <utility>

#include "app/terminal.h"
#include "base/error.h"

namespace fathom {
namespace {

constexpr std::string_view kQuotes = "\"\"\"";

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

}  // namespace

void MessageLines::clear() {
  text_.clear();
  quoted_ = continued_ = false;
}

std::string MessageLines::take() {
  std::string text = std::move(text_);
  clear();
  return text;
}

std::optional<std::string> MessageLines::add(std::string line) {
  if (!open() && line.starts_with(kQuotes)) {
    quoted_ = true;
    line.erase(0, kQuotes.size());
    if (line.empty()) return std::nullopt;
  }
  if (quoted_ && line.ends_with(kQuotes)) {
    line.resize(line.size() - kQuotes.size());
    // The line end before closing quotes belongs to them.
    if (line.empty() && text_.ends_with('\n')) text_.pop_back();
    text_ += line;
    return take();
  }
  if (quoted_) {
    text_ += line + "\n";
    return std::nullopt;
  }
  continued_ = line.ends_with('\\');
  if (continued_) {
    line.back() = '\n';
    text_ += line;
    return std::nullopt;
  }
  text_ += line;
  return take();
}

std::optional<std::string> MessageLines::take_rest() {
  if (!open()) return std::nullopt;
  return take();
}

bool LineReader::take_line(std::string& line) {
  const size_t end = buffer_.find('\n');
  if (end == std::string::npos && !(ended_ && !buffer_.empty())) return false;
  line = buffer_.substr(0, end);
  buffer_.erase(0, end == std::string::npos ? end : end + 1);
  if (line.ends_with('\r')) line.pop_back();
  return true;
}

LineEvent LineReader::read(const std::string& prompt, std::string& line) {
  if (input_is_terminal()) std::cerr << prompt << std::flush;
  for (;;) {
    if (take_line(line)) return LineEvent::kLine;
    if (ended_) return LineEvent::kEnd;
    if (!wait_for_input()) {
      buffer_.clear();  // Ctrl-C drops what was typed
      return LineEvent::kInterrupted;
    }
    char bytes[4096];
    const ssize_t count = ::read(STDIN_FILENO, bytes, sizeof bytes);
    if (count > 0) buffer_.append(bytes, static_cast<size_t>(count));
    ended_ = count == 0;
    if (count < 0 && errno != EINTR) {
      fail(ErrorCode::kRuntime, "chat: cannot read standard input: ", std::strerror(errno));
    }
  }
}

std::optional<ChatCommand> parse_chat_command(const std::string& line) {
  if (!line.starts_with('/') || line.starts_with("//")) return std::nullopt;
  const size_t end = line.find_first_of(" \t");
  return ChatCommand{line.substr(1, end == std::string::npos ? end : end - 1),
                     end == std::string::npos ? "" : trimmed(line.substr(end))};
}

}  // namespace fathom
