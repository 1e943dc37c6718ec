// A line typed on a terminal, with keys to edit it and a history: emacs keys, or what ~/.editrc
// binds.
//
// Prompt and line are shown on standard error. What is pasted stands in the line as it is, line
// ends too. Ctrl-G takes the line into $EDITOR, Tab completes. The terminal is in its usual mode
// whenever read() does not run.  Threads: one.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/chat_input.h"

namespace fathom {

struct LineEditorSettings {
  std::string history_path;  // empty: the history lasts as long as the editor
  // What may stand in place of the text before the cursor.
  std::function<std::vector<std::string>(const std::string&)> complete;
};

class LineEditor {
 public:
  explicit LineEditor(LineEditorSettings settings = {});
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  LineEvent read(const std::string& prompt, std::string& line);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fathom
