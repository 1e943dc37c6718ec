// The lines typed in earlier chats: $XDG_STATE_HOME/fathom/history, for its owner alone.
//
// One line of the file is one that was typed, with line ends and backslashes escaped. What cannot
// be read or written is left: a history is a convenience.
//
// Threads: one.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace fathom {

class HistoryFile {
 public:
  // An empty path keeps nothing.
  explicit HistoryFile(std::string path) : path_(std::move(path)) {}

  // The newest `most`, oldest first. A file that has grown to twice as many is cut to them.
  std::vector<std::string> read(size_t most) const;
  void append(const std::string& line) const;

 private:
  std::string path_;
};

// Where the environment says it is; empty where FATHOM_NOHISTORY is set or there is no home.
std::string default_history_path();

}  // namespace fathom
