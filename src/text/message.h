// Messages of a conversation, and how the chat API spells them in JSON.
//
// Threads: values and pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/json.h"

namespace fathom {

struct ToolCall {
  std::string id = {};
  std::string name = {};
  // A string is JSON text and goes to the model unchanged; an object is written as JSON with ", "
  // and
  // ": " between its parts.
  Json arguments = {};
};

struct Message {
  std::string role = {};  // "system", "user", "assistant" or "tool"
  std::string content = {};
  std::string reasoning_content = {};     // assistant: what it thought before
  bool no_content = false;                // assistant: null in place of a text, as calls may have
  std::vector<ToolCall> tool_calls = {};  // assistant
  std::string tool_call_id = {};          // tool: the call that it answers
  std::string name = {};
  // Assistant: what a model wrote as `content`. Prompts have these ids in place of the text encoded
  // anew, wherever the format sets the text off by control tokens: a model's own words may take
  // other ids than it chose, and more of them where they are no UTF-8.
  std::vector<int32_t> content_ids = {};
  bool prefix = false;  // the last message, an assistant's: the model goes on where it ends
};

// The fields of the chat API: content is a string, null, or a list of {"type": "text", "text": …};
// "developer" is "system". Faults are Error(kUsage) that begin with `where` and name the field.
Message message_from_json(const Json& json, const std::string& where);
// Also checks that each tool message answers a call, and that only the last one is a prefix.
std::vector<Message> messages_from_json(const Json& list, const std::string& where);

// A list of {"type": "function", "function": {"name", "description", "parameters"}}, or of what
// stands in "function"; gives the former.
Json tools_from_json(const Json& list, const std::string& where);

}  // namespace fathom
