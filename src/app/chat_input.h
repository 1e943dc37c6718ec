// Lines typed into a chat: whole messages out of several lines, and lines out of a descriptor that
// Ctrl-C may interrupt.
//
// Threads: one.
#pragma once

#include <optional>
#include <string>

namespace fathom {

// A message is one line; or several, each but the last ending with a backslash; or all between a
// line that begins with """ and one that ends with it.
class MessageLines {
 public:
  // The message once `line` completes it.
  std::optional<std::string> add(std::string line);
  bool open() const { return quoted_ || continued_; }  // lines are missing
  void clear();
  // What an end of input leaves.
  std::optional<std::string> take_rest();

 private:
  std::string take();

  std::string text_;
  bool quoted_ = false, continued_ = false;
};

enum class LineEvent {
  kLine,
  kEnd,          // of input: Ctrl-D
  kInterrupted,  // Ctrl-C dropped what was typed, or it is not known whether there was anything
  kLeft          // Ctrl-C with nothing typed
};

// Lines from standard input, as the system gives them.
class LineReader {
 public:
  // The prompt is shown where a person types.
  LineEvent read(const std::string& prompt, std::string& line);

 private:
  bool take_line(std::string& line);

  std::string buffer_;
  bool ended_ = false;
};

// "/set parameter temp 0.7" -> {"set", "parameter temp 0.7"}; nothing where the line is no command.
struct ChatCommand {
  std::string name, rest;
};
std::optional<ChatCommand> parse_chat_command(const std::string& line);

}  // namespace fathom
