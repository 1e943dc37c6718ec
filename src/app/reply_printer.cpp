#include "app/reply_printer.h"

#include <iostream>

#include "app/terminal.h"
#include "base/text.h"

namespace fathom {

ThinkingStyle choose_thinking_style(bool show, bool hide) {
  if (hide) return colour_wanted() ? ThinkingStyle::kCounted : ThinkingStyle::kDropped;
  if (colour_wanted()) return ThinkingStyle::kDimmed;
  if (output_is_terminal()) return ThinkingStyle::kPlain;
  return show ? ThinkingStyle::kToErrors : ThinkingStyle::kDropped;
}

ReplyPrinter::ReplyPrinter(const Tokenizer& tokenizer, const ReplyForm& form, ThinkingStyle style)
    : parser_(tokenizer, form), opened_think_(form.opened_think), style_(style) {}

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

// Drawn over itself a few times a second.
void ReplyPrinter::show_count() {
  constexpr double kBetweenDraws = 0.2;  // seconds
  const double now = thinking_time_.seconds();
  if (thinking_shown_ && now - count_shown_ < kBetweenDraws) return;
  thinking_shown_ = true;
  count_shown_ = now;
  print(concat("\r\033[K\033[2mThinking… ", thinking_tokens_, " tokens\033[0m"));
}

void ReplyPrinter::show_thinking(const std::string& text) {
  if (style_ == ThinkingStyle::kCounted) return show_count();
  if (!thinking_shown_) write_thinking("Thinking…\n");
  thinking_shown_ = true;
  write_thinking(visible(text));
}

void ReplyPrinter::close_thinking() {
  if (!thinking_shown_) return;
  thinking_shown_ = false;
  if (style_ == ThinkingStyle::kCounted) return print("\r\033[K");
  write_thinking(concat("\n…done (", thinking_tokens_, " tokens, ",
                        human_seconds(thinking_time_.seconds()), ")\n"));
}

void ReplyPrinter::close_call() {
  if (call_shown_) print("\n");
  call_shown_ = false;
}

void ReplyPrinter::show_call(const ReplyPiece& piece) {
  close_thinking();
  if (piece.kind == ReplyPiece::Kind::kToolName) {
    close_call();
    print(concat(reply_.text.answer.empty() ? "" : "\n", visible(piece.text), " "));
    call_shown_ = true;
  } else {
    print(visible(piece.text));
  }
}

void ReplyPrinter::show(const std::vector<ReplyPiece>& pieces) {
  for (const ReplyPiece& piece : pieces) {
    switch (piece.kind) {
      case ReplyPiece::Kind::kReasoning:
        reply_.text.reasoning += piece.text;
        show_thinking(piece.text);
        break;
      case ReplyPiece::Kind::kContent:
        reply_.text.answer += piece.text;
        close_thinking();
        close_call();
        print(visible(piece.text));
        break;
      default:
        show_call(piece);
    }
  }
}

void ReplyPrinter::push(int32_t id) {
  show(parser_.push(id));
  if (parser_.thinking()) {
    ++thinking_tokens_;
  } else {
    close_thinking();
  }
}

void ReplyPrinter::finish(bool ended) {
  show(parser_.finish());
  close_thinking();
  reply_.reasoned = parser_.reasoned();
  reply_.think_closed = reply_.reasoned && !parser_.thinking();
  reply_.ended = ended;
  if (!ended || !opened_think_ || reply_.think_closed) return;
  reply_.text.answer = std::move(reply_.text.reasoning);
  reply_.text.reasoning.clear();
  reply_.reasoned = false;
  print(visible(reply_.text.answer));
}

}  // namespace fathom
