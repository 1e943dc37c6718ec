#include "text/chat.h"

#include <algorithm>

#include "base/error.h"
#include "text/prompt.h"

namespace fathom {
namespace {

constexpr std::string_view kTemplate =
    R"({% set ns = namespace(system='', first=true) %})"
    R"({% for message in messages %}{% if message['role'] == 'system' %})"
    R"({% if ns.first %}{% set ns.system = message['content'] %}{% set ns.first = false %})"
    R"({% else %}{% set ns.system = ns.system + '\n\n' + message['content'] %}{% endif %})"
    R"({% endif %}{% endfor %}{{ bos_token }}{{ ns.system }})"
    R"({% for message in messages %}{% if message['role'] == 'user' %})"
    R"({{ '<｜User｜>' + message['content'] }})"
    R"({% elif message['role'] == 'assistant' %}{{ '<｜Assistant｜>' }})"
    R"({% if message['reasoning_content'] is defined and message['reasoning_content'] %})"
    R"({{ '<think>' + message['reasoning_content'] + '</think>' }}{% endif %})"
    R"({{ message['content'] + eos_token }})"
    R"({% elif message['role'] != 'system' %})"
    R"({{ raise_exception('unknown role: ' + message['role']) }})"
    R"({% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<｜Assistant｜>' }}{% endif %})";

// Receives the conversation piece by piece; one walk serves ids and text.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void marker(std::string_view token, bool of_answer) = 0;
  virtual void text(std::string_view content, bool of_answer) = 0;
  virtual void written(const Message& message) = 0;  // with content_ids
};

void write_assistant_content(std::string_view content, Sink& sink) {
  while (!content.empty()) {
    const size_t think = content.find(kThinkToken);
    const size_t end_think = content.find(kEndThinkToken);
    const size_t at = std::min(think, end_think);
    sink.text(content.substr(0, at), true);
    if (at == std::string_view::npos) return;
    const std::string_view token = think < end_think ? kThinkToken : kEndThinkToken;
    sink.marker(token, true);
    content.remove_prefix(at + token.size());
  }
}

void write_assistant(const Message& message, Sink& sink) {
  sink.marker(kAssistantToken, false);
  if (!message.reasoning_content.empty()) {
    sink.marker(kThinkToken, true);
    sink.text(message.reasoning_content, true);
    sink.marker(kEndThinkToken, true);
  }
  if (message.content_ids.empty()) {
    write_assistant_content(message.content, sink);
  } else {
    sink.written(message);
  }
  sink.marker(kEosToken, true);
}

std::string joined_system_text(const std::vector<Message>& messages) {
  std::string text;
  bool first = true;
  for (const Message& message : messages) {
    if (message.role != "system") continue;
    if (!first) text += "\n\n";
    text += message.content;
    first = false;
  }
  return text;
}

void check_role(const Message& message) {
  const std::string& role = message.role;
  if (role == "system" || role == "user" || role == "assistant") return;
  fail(ErrorCode::kRuntime, "chat: the role '", role,
       "' is unknown; this format has system, user and assistant");
}

void write_chat(const std::vector<Message>& messages, const ChatOptions& options, Sink& sink) {
  for (const Message& message : messages) check_role(message);
  sink.marker(kBosToken, false);
  sink.text(joined_system_text(messages), false);
  for (const Message& message : messages) {
    if (message.role == "user") {
      sink.marker(kUserToken, false);
      sink.text(message.content, false);
    } else if (message.role == "assistant") {
      write_assistant(message, sink);
    }
  }
  if (!options.add_generation_prompt) return;
  sink.marker(kAssistantToken, false);
  if (options.open_think) sink.marker(kThinkToken, false);
}

class IdSink : public Sink {
 public:
  explicit IdSink(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  void marker(std::string_view token, bool of_answer) override { put(marker_id(token), of_answer); }
  void text(std::string_view content, bool of_answer) override {
    for (const int32_t id : tokenizer_.encode(content)) put(id, of_answer);
  }

  void written(const Message& message) override {
    for (const int32_t id : message.content_ids) put(id, true);
  }

  RenderedChat chat;

 private:
  void put(int32_t id, bool of_answer) {
    chat.ids.push_back(id);
    chat.answer_mask.push_back(of_answer ? 1.0f : 0.0f);
  }
  // Begin and end are whatever the tokenizer's settings name.
  int32_t marker_id(std::string_view token) const {
    const ControlIds& control = tokenizer_.control();
    if (token == kBosToken) return tokenizer_.require(control.bos, "bos", "a conversation");
    if (token == kEosToken) return tokenizer_.require(control.eos, "eos", "a conversation");
    return tokenizer_.require(tokenizer_.added_token_id(token), token, "a conversation");
  }

  const Tokenizer& tokenizer_;
};

class TextSink : public Sink {
 public:
  void marker(std::string_view token, bool) override { joined += token; }
  void text(std::string_view content, bool) override { joined += content; }
  void written(const Message& message) override { joined += message.content; }

  std::string joined;
};

}  // namespace

RenderedChat render_own_chat(const Tokenizer& tokenizer, const std::vector<Message>& messages,
                             const ChatOptions& options) {
  IdSink sink(tokenizer);
  write_chat(messages, options, sink);
  return sink.chat;
}

RenderedChat render_chat(const Tokenizer& tokenizer, const std::vector<Message>& messages,
                         const ChatOptions& options) {
  // Training asks this for every problem; its own format needs no engine.
  if (tokenizer.spec().chat_template == kTemplate) {
    return render_own_chat(tokenizer, messages, options);
  }
  const PromptFormat format = PromptFormat::of(tokenizer);
  PromptOptions wanted;
  wanted.add_generation_prompt = options.add_generation_prompt;
  wanted.force_thinking = options.open_think;
  if (options.open_think) wanted.thinking = true;
  Prompt prompt = options.add_generation_prompt ? format.render(messages, wanted)
                                                : format.render_answers(messages, wanted);
  prompt.answer_mask.resize(prompt.ids.size(), 0.0f);
  return {std::move(prompt.ids), std::move(prompt.answer_mask)};
}

std::string render_chat_text(const std::vector<Message>& messages, const ChatOptions& options) {
  TextSink sink;
  write_chat(messages, options, sink);
  return sink.joined;
}

std::string_view chat_template() { return kTemplate; }

ReplySplitter::ReplySplitter(const Tokenizer& tokenizer, bool opened_think)
    : control_(tokenizer.control()),
      state_(opened_think ? State::kThinking : State::kStart),
      reasoned_(opened_think),
      reasoning_(tokenizer),
      answer_(tokenizer) {}

ReplyText ReplySplitter::push(int32_t id) {
  if (ended_) return {};
  if (id == control_.eos) {
    ended_ = true;
    return finish();
  }
  if (state_ == State::kStart) {
    state_ = id == control_.think ? State::kThinking : State::kAnswer;
    reasoned_ = state_ == State::kThinking;
    if (reasoned_) return {};
  }
  if (state_ == State::kAnswer) return {"", answer_.push(id)};
  if (id != control_.end_think) return {reasoning_.push(id), ""};
  state_ = State::kAnswer;
  return {reasoning_.finish(), ""};
}

ReplyText ReplySplitter::finish() { return {reasoning_.finish(), answer_.finish()}; }

Reply split_reply(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool opened_think) {
  ReplySplitter splitter(tokenizer, opened_think);
  Reply reply;
  const auto add = [&](const ReplyText& part) {
    reply.text.reasoning += part.reasoning;
    reply.text.answer += part.answer;
  };
  for (const int32_t id : ids) add(splitter.push(id));
  add(splitter.finish());
  reply.reasoned = splitter.reasoned();
  reply.think_closed = reply.reasoned && !splitter.thinking();
  reply.ended = splitter.ended();
  return reply;
}

}  // namespace fathom
