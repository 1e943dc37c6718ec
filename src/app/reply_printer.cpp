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

bool is_form_token(const Tokenizer& tokenizer, int32_t id) {
  const ControlIds& control = tokenizer.control();
  return id == control.bos || id == control.pad || id == control.user || id == control.assistant;
}

ReplyPrinter::ReplyPrinter(const Tokenizer& tokenizer, bool opened_think, ThinkingStyle style)
    : tokenizer_(tokenizer),
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
  if (is_form_token(tokenizer_, id)) return;
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
