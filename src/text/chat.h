// Conversations in the format of DeepSeek-R1, and replies taken apart again.
//
//   <bos>{system messages, joined by \n\n}
//   <｜User｜>{content}<｜Assistant｜>[<think>{thinking}</think>]{content}<eos> …
//   (without the line breaks)
//
// Rendering works on ids: only the format's own markers become control tokens; user and system text
// that spells one stays text. Of an assistant's content, <think> and </think> are understood, so
// that histories keep their thinking.
// Threads: pure functions; ReplySplitter is one caller's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/message.h"
#include "text/tokenizer.h"

namespace fathom {

struct ChatOptions {
  bool add_generation_prompt = true;  // end with <｜Assistant｜>, for the model to go on
  bool open_think = false;            // … and with <think>, so that it must think
};

struct RenderedChat {
  std::vector<int32_t> ids;
  // [ids], 1 where the token belongs to an answer (thinking, content and eos, not <｜Assistant｜>),
  // else 0.
  std::vector<float> answer_mask;
};

// In the format that the tokenizer's chat template says (text/prompt.h).
RenderedChat render_chat(const Tokenizer& tokenizer, const std::vector<Message>& messages,
                         const ChatOptions& options = {});
// In the format above, whatever the tokenizer says.
RenderedChat render_own_chat(const Tokenizer& tokenizer, const std::vector<Message>& messages,
                             const ChatOptions& options = {});

// That one as text, for people.
std::string render_chat_text(const std::vector<Message>& messages, const ChatOptions& options = {});

// The Jinja text that makes other programs render the same ids (tokenizer_config.json,
// chat_template).
std::string_view chat_template();

// A reply, or the new part of one.
struct ReplyText {
  std::string reasoning;
  std::string answer;
};

// Takes a reply apart id by id. Thinking ends at the first </think>; the end token ends the reply
// and is not shown.
class ReplySplitter {
 public:
  // `opened_think`: the prompt already ended with <think>.  `tokenizer` outlives the splitter.
  ReplySplitter(const Tokenizer& tokenizer, bool opened_think);

  ReplyText push(int32_t id);
  ReplyText finish();

  bool ended() const { return ended_; }                         // the end token came
  bool reasoned() const { return reasoned_; }                   // there was a think block
  bool thinking() const { return state_ == State::kThinking; }  // … and it is still open

 private:
  enum class State { kStart, kThinking, kAnswer };

  ControlIds control_;
  State state_ = State::kStart;
  bool reasoned_ = false;
  bool ended_ = false;
  StreamDecoder reasoning_;
  StreamDecoder answer_;
};

struct Reply {
  ReplyText text;
  bool reasoned = false;      // there was a think block
  bool think_closed = false;  // … and </think> ended it
  bool ended = false;         // the end token came
};

// `ids`: what the model wrote after the prompt.
Reply split_reply(const Tokenizer& tokenizer, const std::vector<int32_t>& ids,
                  bool opened_think = false);

}  // namespace fathom
