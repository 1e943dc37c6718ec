#include "text/message_values.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/error.h"
#include "io/json.h"
#include "text/tokenizer.h"

namespace fathom {
namespace {

using Variables = std::vector<std::pair<std::string, jinja::Value>>;

jinja::Value make_dict(Variables members) {
  auto box = std::make_shared<jinja::DictBox>();
  for (auto& [key, value] : members) {
    box->depth = std::max(box->depth, 1 + value.depth());
    box->entries.emplace_back(jinja::Value::string(std::move(key)), std::move(value));
  }
  return jinja::Value(std::shared_ptr<const jinja::DictBox>(std::move(box)));
}

jinja::Value input_text(const std::string& text) {
  return jinja::Value::string(MarkedText(text, kInputMark));
}

std::shared_ptr<const jinja::DictBox> parsed_object(const std::string& text) {
  try {
    const Json json = parse_json(text, "arguments");
    if (!json.is_object()) return nullptr;
    const jinja::Value value = jinja::Value::from_json(json, kInputMark);
    return std::make_shared<const jinja::DictBox>(
        jinja::DictBox{value.dict().entries, value.depth(), nullptr, {}});
  } catch (const Error&) {
    return nullptr;  // models write what is no JSON
  }
}

// Templates take the arguments of a call as text or as a mapping; this is both.
jinja::Value arguments_value(const Json& arguments) {
  if (arguments.is_string()) {
    auto box = std::make_shared<jinja::StringBox>();
    box->text = MarkedText(arguments.as_string(), kInputMark);
    box->spelled = parsed_object(arguments.as_string());
    return jinja::Value(std::shared_ptr<const jinja::StringBox>(std::move(box)));
  }
  const jinja::Value value = jinja::Value::from_json(arguments, kInputMark);
  auto spelling = std::make_shared<jinja::StringBox>();
  spelling->text = jinja::to_json(value, {}, std::string::npos);
  auto box = std::make_shared<jinja::DictBox>();
  box->entries = value.dict().entries;
  box->depth = value.depth();
  box->spelling = std::move(spelling);
  return jinja::Value(std::shared_ptr<const jinja::DictBox>(std::move(box)));
}

jinja::Value call_value(const ToolCall& call) {
  Variables members;
  if (!call.id.empty()) members.emplace_back("id", input_text(call.id));
  members.emplace_back("type", jinja::Value::string("function"));
  members.emplace_back("function", make_dict({{"name", input_text(call.name)},
                                              {"arguments", arguments_value(call.arguments)}}));
  return make_dict(std::move(members));
}

}  // namespace

jinja::Value make_list(std::vector<jinja::Value> items) {
  auto box = std::make_shared<jinja::ListBox>();
  for (const jinja::Value& item : items) box->depth = std::max(box->depth, 1 + item.depth());
  box->items = std::move(items);
  return jinja::Value(std::shared_ptr<const jinja::ListBox>(std::move(box)));
}

jinja::Value answer_text(const std::string& content) {
  MarkedText text(content, kInputMark);
  for (const std::string_view token : {kThinkToken, kEndThinkToken}) {
    for (size_t at = content.find(token); at != std::string::npos;
         at = content.find(token, at + 1)) {
      text.trust(at, at + token.size());
    }
  }
  return jinja::Value::string(std::move(text));
}

jinja::Value message_value(const Message& message, bool cut) {
  Variables members;
  members.emplace_back("role", jinja::Value::string(message.role));
  if (cut) {
    members.emplace_back(
        "content", jinja::Value::string(MarkedText(std::string(kCutText), kInputMark | kCutMark)));
  } else if (message.no_content) {
    members.emplace_back("content", jinja::Value());
  } else {
    const bool answer = message.role == "assistant";
    members.emplace_back("content",
                         answer ? answer_text(message.content) : input_text(message.content));
  }
  if (!message.reasoning_content.empty() && !cut) {
    members.emplace_back("reasoning_content", input_text(message.reasoning_content));
  }
  if (!message.tool_calls.empty()) {
    std::vector<jinja::Value> calls;
    for (const ToolCall& call : message.tool_calls) calls.push_back(call_value(call));
    members.emplace_back("tool_calls", make_list(std::move(calls)));
  }
  if (!message.tool_call_id.empty()) {
    members.emplace_back("tool_call_id", input_text(message.tool_call_id));
  }
  if (!message.name.empty()) members.emplace_back("name", input_text(message.name));
  if (message.prefix) members.emplace_back("prefix", jinja::Value(true));
  return make_dict(std::move(members));
}

}  // namespace fathom
