// A reply on its way to the screen: answers to standard output, thinking dimmed between markers,
// each call of a tool on a line of its own.
//
// Threads: one.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "text/chat.h"
#include "text/reply_parser.h"

namespace fathom {

enum class ThinkingStyle {
  kDropped,
  kDimmed,   // on standard output, SGR 2
  kCounted,  // on standard output, only how far it is, and gone in the end
  kPlain,    // on standard output, for terminals without colour
  kToErrors  // on standard error
};

// What --show-thinking and --hide-thinking mean on this terminal or pipe.
ThinkingStyle choose_thinking_style(bool show, bool hide);

class ReplyPrinter {
 public:
  // `tokenizer` outlives the printer.
  ReplyPrinter(const Tokenizer& tokenizer, const ReplyForm& form, ThinkingStyle style);

  void push(int32_t id);
  // `ended`: the end token came. Text behind a think block that the prompt opened and the model
  // never closed is then taken for the answer.
  void finish(bool ended);

  const Reply& reply() const { return reply_; }

 private:
  void show(const std::vector<ReplyPiece>& pieces);
  void show_call(const ReplyPiece& piece);
  void close_call();
  void show_thinking(const std::string& text);
  void close_thinking();
  void show_count();
  void write_thinking(const std::string& text);

  ReplyParser parser_;
  bool opened_think_;
  ThinkingStyle style_;
  bool call_shown_ = false;      // a line of a call is open
  bool thinking_shown_ = false;  // the opening marker is out and the closing one is not
  int64_t thinking_tokens_ = 0;
  Timer thinking_time_;
  double count_shown_ = 0;  // when, by that clock
  Reply reply_;
};

}  // namespace fathom
