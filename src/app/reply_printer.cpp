#include "app/reply_printer.h"

#include <iostream>

#include "app/terminal.h"
#include "base/text.h"

namespace fathom {

ThinkingStyle choose_thinking_style(bool show, bool hide) {
  if (hide) return ThinkingStyle::kDropped;
  if (colour_wanted()) return ThinkingStyle::kDimmed;
  if (output_is_terminal()) return ThinkingStyle::kPlain;
  return show ? ThinkingStyle::kToErrors : ThinkingStyle::kDropped;
}

bool FormFilter::passes(int32_t id) {
  if (id == control_.bos || id == control_.pad || id == control_.user || id == control_.assistant) {
    return false;
  }
  if (id == control_.think && started_) return false;
  if (id == control_.end_think && !thinking_) return false;
  if (id == control_.think) thinking_ = true;
  if (id == control_.end_think) thinking_ = false;
  started_ = true;
  return true;
}

ReplyPrinter::ReplyPrinter(const Tokenizer& tokenizer, bool opened_think, ThinkingStyle style)
    : filter_(tokenizer, opened_think),
      splitter_(tokenizer, opened_think),
      opened_think_(opened_think),
      style_(style) {}

void ReplyPrinter::write_thinking(const std::string& text) {
  if (style_ == ThinkingStyle::kDropped) return;
  if (style_ == ThinkingStyle::kToErrors) {
    std::cerr << text << std::flush;
  } else if (style_ == ThinkingStyle::kDimmed) {
    print(concat("\033[2m", text, "\033[0m"));
  } else {
    print(text);
  }
}

void ReplyPrinter::show_thinking(const std::string& text) {
  if (!thinking_shown_) write_thinking("Thinking…\n");
  thinking_shown_ = true;
  write_thinking(visible(text));
}

void ReplyPrinter::close_thinking() {
  if (!thinking_shown_) return;
  thinking_shown_ = false;
  write_thinking(concat("\n…done (", thinking_tokens_, " tokens, ",
                        human_seconds(thinking_time_.seconds()), ")\n"));
}

void ReplyPrinter::show(const ReplyText& part) {
  reply_.text.reasoning += part.reasoning;
  reply_.text.answer += part.answer;
  if (!part.reasoning.empty()) show_thinking(part.reasoning);
  if (part.answer.empty()) return;
  close_thinking();
  print(visible(part.answer));
}

void ReplyPrinter::push(int32_t id) {
  if (!filter_.passes(id)) return;
  show(splitter_.push(id));
  if (splitter_.thinking()) {
    ++thinking_tokens_;
  } else {
    close_thinking();
  }
}

void ReplyPrinter::finish(bool ended) {
  show(splitter_.finish());
  close_thinking();
  reply_.reasoned = splitter_.reasoned();
  reply_.think_closed = reply_.reasoned && !splitter_.thinking();
  reply_.ended = ended;
  if (!ended || !opened_think_ || reply_.think_closed) return;
  reply_.text.answer = std::move(reply_.text.reasoning);
  reply_.text.reasoning.clear();
  reply_.reasoned = false;
  print(visible(reply_.text.answer));
}

}  // namespace fathom
