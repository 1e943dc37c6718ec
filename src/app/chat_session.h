// A conversation on the terminal or through a pipe.
//
// Prompts, hints and results of commands go to standard error; standard output has the model's
// words alone. A terminal gets keys to edit the line and a history. Ctrl-C stops an answer, not the
// program; at the prompt it drops what was typed, and twice in a row where nothing was it ends the
// conversation, as Ctrl-D does. Threads: one (the compute thread).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/generation.h"
#include "app/output_format.h"
#include "app/reply_printer.h"

namespace fathom {

struct ChatSettings {
  Sampling sampling;           // the seed moves on by one with every answer
  int64_t max_tokens = -1;     // −1: what the context leaves
  int64_t context_tokens = 0;  // 0: the model's max_position_embeddings
  std::string system;
  std::string chat_template;  // empty: the folder's own; else as choose_prompt_format takes it
  std::optional<bool> think;  // begin each answer with thinking, or without; else the model's way
  bool remember = true;       // off: each question is asked on its own
  ThinkingStyle thinking = ThinkingStyle::kDropped;
  OutputFormat output = OutputFormat::kText;  // another one: a line or more of JSON per answer
  std::vector<std::string> samples;           // prompts shown as suggestions at the start
};

// There is a tokenizer, and a template or a family's format for it.
bool can_chat(const LoadedModel& model, const std::string& chat_template = "");

// Returns the exit status: 0 at the end of input or /bye, 128 + signal where a signal ended it.
// Throws Error(kModel) where the model cannot chat.
int chat_session(const LoadedModel& model, Device& device, const ChatSettings& settings);

}  // namespace fathom
