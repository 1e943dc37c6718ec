// A reply on its way to the screen: answers to standard output, thinking dimmed between markers.
//
// Threads: one.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "text/chat.h"

namespace fathom {

enum class ThinkingStyle {
  kDropped,
  kDimmed,   // on standard output, SGR 2
  kPlain,    // on standard output, for terminals without colour
  kToErrors  // on standard error
};

// What --show-thinking and --hide-thinking mean on this terminal or pipe.
ThinkingStyle choose_thinking_style(bool show, bool hide);

// Tells text from the tokens that give a conversation its form (begin, padding, roles, and think
// marks out of place): where a model writes one into its answer, it is not shown, and does not
// reach the next question.
class FormFilter {
 public:
  FormFilter(const Tokenizer& tokenizer, bool opened_think)
      : control_(tokenizer.control()), thinking_(opened_think), started_(opened_think) {}

  // Whether the reply's next id is for the splitter.
  bool passes(int32_t id);

 private:
  ControlIds control_;
  bool thinking_, started_;
};

class ReplyPrinter {
 public:
  // `opened_think`: the prompt ended with <think>.  `tokenizer` outlives the printer.
  ReplyPrinter(const Tokenizer& tokenizer, bool opened_think, ThinkingStyle style);

  void push(int32_t id);
  // `ended`: the end token came. Text behind a think block that the prompt opened and the model
  // never closed is then taken for the answer.
  void finish(bool ended);

  const Reply& reply() const { return reply_; }

 private:
  void show(const ReplyText& part);
  void show_thinking(const std::string& text);
  void close_thinking();
  void write_thinking(const std::string& text);

  FormFilter filter_;
  ReplySplitter splitter_;
  bool opened_think_;
  ThinkingStyle style_;
  bool thinking_shown_ = false;  // the opening marker is out and the closing one is not
  int64_t thinking_tokens_ = 0;
  Timer thinking_time_;
  Reply reply_;
};

}  // namespace fathom
