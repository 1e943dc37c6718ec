// A model's reply taken apart, id by id: thinking, answer, calls of tools.
//
//   [<think>]{thinking}</think>{answer}<｜tool▁calls▁begin｜>{calls}<｜tool▁calls▁end｜><eos>
//
// or with calls in another of the forms that ToolSyntax names (text/prompt.h).
// Marks are recognised by their ids, so text that spells one is text. What the parts say does not
// depend on how the reply is cut into steps, and no piece of a mark is ever given out. Newlines
// behind <think> and around </think>, and whitespace before calls, belong to the form and are
// dropped. A block of calls that is none is given out as answer.
//
// Threads: one.  Lifetime: the tokenizer outlives the parser.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/prompt.h"
#include "text/tokenizer.h"
#include "text/tool_calls.h"

namespace fathom {

struct ReplyForm {
  bool opened_think = false;  // the prompt ended inside a think block
  ToolSyntax tools = ToolSyntax::kNone;
};

// A new part of the reply; each is of one kind.
struct ReplyPiece {
  enum class Kind {
    kReasoning,
    kContent,
    kToolName,  // a call begins; `text` is its whole name
    kToolArguments,
  };
  Kind kind = Kind::kContent;
  std::string text;
  int call = -1;  // number of the call, for the last two kinds

  bool operator==(const ReplyPiece&) const = default;
};

struct ParsedCall {
  std::string name;
  std::string arguments;  // as the model wrote them; may be no JSON

  bool operator==(const ParsedCall&) const = default;
};

class ReplyParser {
 public:
  ReplyParser(const Tokenizer& tokenizer, const ReplyForm& form);

  std::vector<ReplyPiece> push(int32_t id);
  // The reply is over: what was held back.
  std::vector<ReplyPiece> finish();

  bool ended() const { return ended_; }  // an end token came
  bool thinking() const { return state_ == State::kThinking; }
  bool reasoned() const { return reasoned_; }  // there was a think block
  bool malformed_call() const { return malformed_; }
  int calls() const { return calls_; }
  // Tokens up to and including </think>.
  int64_t reasoning_tokens() const { return reasoning_tokens_; }

 private:
  enum class State {
    kStart,
    kThinking,
    kAnswer,
    kBetweenCalls,
    kCallHead,
    kCallName,
    kArguments,
    kDsml,
    kHermes
  };
  // What a mark in the reply means.
  struct Marks {
    std::optional<int32_t> calls_begin, calls_end, call_begin, call_end, separator, dsml;
  };
  // Holds back what may turn out to be whitespace before a mark, and drops it at the start.
  struct Trim {
    bool newlines_only = false;
    bool at_start = true;
    std::string held;
    std::string push(std::string text);
  };

  bool is_mark(int32_t id) const;
  bool take_mark(int32_t id);
  bool take_call_mark(int32_t id);
  void take_text(const std::string& text);
  void open_thinking();
  void close_thinking();
  void enter_answer();
  void begin_call();
  void end_head();
  void end_call();
  void give_up_call(const std::string& text);
  void take_name(const std::string& text);
  void take_arguments(const std::string& text);
  void start_call(std::string name);
  void take_dsml_mark();
  void end_dsml();
  void end_hermes(bool cut);
  void give(const std::vector<CallEvent>& events);
  void release_tag_start();
  void emit(ReplyPiece::Kind kind, std::string text);

  Marks marks_;
  ControlIds control_;
  ReplyForm form_;
  State state_;
  StreamDecoder decoder_;
  Trim reasoning_, answer_;
  std::string head_;       // between call_begin and the separator
  std::string name_;       // fenced: what stands before the arguments
  std::string arguments_;  // given out so far
  std::string tail_;       // held back: perhaps the closing fence
  std::string tag_start_;  // held back: a "<" that the mark of DSML may follow
  std::optional<DsmlBlock> dsml_;
  std::optional<HermesCall> hermes_;
  bool call_open_ = false;  // its name was given out
  bool reasoned_ = false, ended_ = false, malformed_ = false;
  int calls_ = 0;
  int64_t tokens_ = 0, reasoning_tokens_ = 0;
  std::vector<ReplyPiece> out_;
};

enum class ReplyEnd { kEndToken, kStopString, kMaxTokens };

struct ParsedReply {
  std::string reasoning_content;
  std::string content;
  std::vector<ParsedCall> tool_calls;
  std::string finish_reason;  // "stop", "tool_calls" or "length"
  bool malformed_call = false;
};

// The whole reply at once. A think block that the prompt opened and the model never closed, though
// it ended by itself, was the answer.
ParsedReply parse_reply(const Tokenizer& tokenizer, const std::vector<int32_t>& ids,
                        const ReplyForm& form, ReplyEnd end);

// Puts streamed pieces together.
void append_piece(const ReplyPiece& piece, ParsedReply& reply);
std::string finish_reason_of(ReplyEnd end, size_t calls);

}  // namespace fathom
