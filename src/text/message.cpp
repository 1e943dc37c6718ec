#include "text/message.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace fathom {
namespace {

constexpr size_t kMaxToolName = 64;

// What is at fault is named once, however deep it was found.
template <class Read>
auto at_place(const std::string& where, const Read& read) {
  try {
    return read();
  } catch (const Error& error) {
    const std::string message = error.what();
    throw Error(ErrorCode::kUsage, message.starts_with(where) ? message : where + ": " + message);
  }
}

std::string content_text(const Json& content, const std::string& where) {
  if (content.is_string()) return content.as_string(where);
  std::string text;
  for (const Json& part : content.items(where)) {
    const std::string type = part.string_or("type", "text");
    if (type != "text") {
      fail(ErrorCode::kUsage, where, " holds a part of type '", type,
           "'; this model reads text only");
    }
    text += part.string_at("text");
  }
  return text;
}

void check_tool_name(const std::string& name, const std::string& where) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
  if (plain && !name.empty() && name.size() <= kMaxToolName) return;
  fail(ErrorCode::kUsage, where, " is '", name, "'; expected 1 to ", kMaxToolName,
       " letters, digits, '_', '-' or '.'");
}

ToolCall tool_call_from_json(const Json& json, const std::string& where) {
  const Json* function = json.find("function");
  const Json& body = function == nullptr ? json : *function;
  ToolCall call;
  call.id = json.string_or("id", "");
  call.name = body.string_at("name");
  check_tool_name(call.name, where + ".name");
  const Json* arguments = body.find("arguments");
  call.arguments = arguments == nullptr || arguments->is_null() ? Json::object() : *arguments;
  if (!call.arguments.is_string() && !call.arguments.is_object()) {
    fail(ErrorCode::kUsage, where, ".arguments must be a string of JSON, or an object");
  }
  return call;
}

void read_calls(const Json& json, const std::string& where, Message& message) {
  const Json* calls = json.find("tool_calls");
  if (calls == nullptr || calls->is_null()) return;
  for (const Json& call : calls->items(where + ".tool_calls")) {
    const std::string place = concat(where, ".tool_calls[", message.tool_calls.size(), "]");
    message.tool_calls.push_back(at_place(place, [&] { return tool_call_from_json(call, place); }));
  }
}

}  // namespace

Message message_from_json(const Json& json, const std::string& where) {
  return at_place(where, [&] {
    Message message;
    message.role = json.string_at("role");
    if (message.role == "developer") message.role = "system";
    static constexpr std::array kRoles = {"system", "user", "assistant", "tool"};
    if (std::find(kRoles.begin(), kRoles.end(), message.role) == kRoles.end()) {
      fail(ErrorCode::kUsage, where, ".role is '", message.role,
           "'; expected system, developer, user, assistant or tool");
    }
    const bool assistant = message.role == "assistant";
    if (assistant) read_calls(json, where, message);
    const Json* content = json.find("content");
    message.no_content = content == nullptr || content->is_null();
    if (!message.no_content) message.content = content_text(*content, where + ".content");
    if (content == nullptr && message.tool_calls.empty()) {
      fail(ErrorCode::kUsage, where, ".content is missing");
    }
    if (message.tool_calls.empty()) message.no_content = false;
    if (assistant) message.reasoning_content = json.string_or("reasoning_content", "");
    if (message.role == "tool") message.tool_call_id = json.string_or("tool_call_id", "");
    message.name = json.string_or("name", "");
    message.prefix = json.bool_or("prefix", false);
    if (message.prefix && !assistant) {
      fail(ErrorCode::kUsage, where, ".prefix is for messages of the assistant");
    }
    return message;
  });
}

std::vector<Message> messages_from_json(const Json& list, const std::string& where) {
  std::vector<Message> messages;
  std::vector<std::string> call_ids;
  bool called = false;
  for (const Json& item : list.items(where)) {
    const std::string place = concat(where, "[", messages.size(), "]");
    if (!messages.empty() && messages.back().prefix) {
      fail(ErrorCode::kUsage, where, "[", messages.size() - 1,
           "].prefix is true, but it is not the last message");
    }
    messages.push_back(message_from_json(item, place));
    const Message& message = messages.back();
    for (const ToolCall& call : message.tool_calls) call_ids.push_back(call.id);
    called |= !message.tool_calls.empty();
    if (message.role != "tool") continue;
    const std::string& id = message.tool_call_id;
    const bool known =
        id.empty() ? called : std::find(call_ids.begin(), call_ids.end(), id) != call_ids.end();
    if (!known) {
      fail(ErrorCode::kUsage, place, ": tool_call_id \"", id,
           "\" not found; a tool message answers a call of an earlier assistant message");
    }
  }
  if (messages.empty()) fail(ErrorCode::kUsage, where, ": the list of messages is empty");
  return messages;
}

Json tools_from_json(const Json& list, const std::string& where) {
  Json tools = Json::array();
  for (const Json& item : list.items(where)) {
    const std::string place = concat(where, "[", tools.size(), "]");
    tools.push_back(at_place(place, [&] {
      const std::string type = item.string_or("type", "function");
      if (type != "function") {
        fail(ErrorCode::kUsage, place, ".type is '", type, "'; expected function");
      }
      const Json* function = item.find("function");
      const Json& body = function == nullptr ? item : *function;
      check_tool_name(body.string_at("name"), place + ".name");
      const Json* parameters = body.find("parameters");
      if (parameters != nullptr && !parameters->is_null() && !parameters->is_object()) {
        fail(ErrorCode::kUsage, place, ".parameters must be a JSON Schema object");
      }
      if (function != nullptr) return item;
      return Json::object({{"type", "function"}, {"function", body}});
    }));
  }
  return tools;
}

}  // namespace fathom
