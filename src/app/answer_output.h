// An answer on its way out of `fathom run`: text as it comes, one JSON object, or a line of JSON
// per piece.
//
// Threads: one.  Lifetime: model and device outlive the output.
#pragma once

#include <memory>
#include <string>

#include "app/generation.h"
#include "app/output_format.h"
#include "app/reply_printer.h"

namespace fathom {

struct AnswerForm {
  OutputFormat output = OutputFormat::kText;
  bool chat = false;  // an answer in a conversation; else the continuation of a text
  ReplyForm reply;    // of an answer in a conversation
  ThinkingStyle thinking = ThinkingStyle::kDropped;
  uint64_t seed = 0;
};

class AnswerOutput {
 public:
  virtual ~AnswerOutput() = default;
  virtual void token(int32_t id) = 0;
  virtual void finish(const Answer& answer) = 0;
};

std::unique_ptr<AnswerOutput> make_answer_output(const LoadedModel& model, const AnswerForm& form);

// What was thought, said and called, of an answer in a conversation.
ParsedReply answer_reply(const Tokenizer& tokenizer, const AnswerForm& form, const Answer& answer);

// The response object of the chat and completion APIs with `timings`, `seed`, `ids` and `text` (all
// that was generated, special tokens left out; null without a tokenizer).
Json answer_json(const LoadedModel& model, const AnswerForm& form, const Answer& answer);

}  // namespace fathom
