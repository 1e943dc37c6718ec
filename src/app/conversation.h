// A conversation with a model: what was said so far, and the next answer.
//
// Answers go to standard output, what is to be known about them to standard error.
// Threads: one (the compute thread).  Lifetime: the device outlives it, and the model where it is
// not the conversation's own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "app/answer_output.h"
#include "app/chat_session.h"
#include "text/prompt.h"

namespace fathom {

class Conversation {
 public:
  // Error(kModel) where the model cannot chat.
  Conversation(const LoadedModel& model, Device& device, const ChatSettings& settings);

  // A question that cannot be asked leaves the conversation as it was: Error(kUsage).
  void ask(const std::string& question);
  // False where there was no question yet.
  bool regenerate();
  bool undo();
  void clear();
  // Another model in place of this one; the conversation begins anew.
  void load(const std::string& folder);

  const LoadedModel& model() const { return *model_; }
  const PromptFormat& format() const { return *format_; }
  const Tokenizer& tokenizer() const { return model_->require_tokenizer(); }
  ChatSettings& settings() { return settings_; }
  const ChatSettings& settings() const { return settings_; }
  const std::vector<Message>& history() const { return history_; }  // user, assistant, user, …
  int64_t context_tokens() const;
  int64_t used_tokens() const { return used_tokens_; }  // after the last answer
  // Of the last answer; null before the first.
  const Json& last_timings() const { return last_timings_; }
  // The system text and all messages: {"messages": [...]}.
  Json to_json() const;

 private:
  std::vector<Message> messages() const;
  void answer();
  Message remembered(const Answer& answer, const AnswerForm& form) const;

  std::unique_ptr<LoadedModel> own_model_;  // what load() brought
  const LoadedModel* model_;
  Device& device_;
  ChatSettings settings_;
  std::unique_ptr<PromptFormat> format_;
  std::vector<Message> history_;
  Json last_timings_;
  int64_t used_tokens_ = 0;
};

}  // namespace fathom
