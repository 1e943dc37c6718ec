// A line typed on a terminal, with keys to edit it and a history: emacs keys, or what ~/.editrc
// binds.
//
// Prompt and line are shown on standard error. The history lasts as long as the editor. The
// terminal is in its usual mode whenever read() does not run.  Threads: one.
#pragma once

#include <memory>
#include <string>

#include "app/chat_input.h"

namespace fathom {

class LineEditor {
 public:
  LineEditor();
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  LineEvent read(const std::string& prompt, std::string& line);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fathom
