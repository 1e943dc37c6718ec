#include "text/prompt.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "io/files.h"
#include "text/chat.h"
#include "text/message_values.h"
#include "text/prompt_formats.h"
#include "text/tool_calls.h"

namespace fathom {
namespace {

// The last place where the template itself wrote `token`.
size_t rfind_own(const MarkedText& text, std::string_view token) {
  size_t at = text.bytes().rfind(token);
  while (at != std::string::npos) {
    const std::string_view marks = std::string_view(text.marks()).substr(at, token.size());
    if (std::all_of(marks.begin(), marks.end(), [](char m) { return (m & kInputMark) == 0; })) {
      return at;
    }
    at = at == 0 ? std::string::npos : text.bytes().rfind(token, at - 1);
  }
  return at;
}

// Whether <think> stands at the end, with nothing but blanks behind it.
bool ends_with_open_think(const MarkedText& text) {
  const size_t at = rfind_own(text, kThinkToken);
  if (at == std::string::npos) return false;
  return text.bytes().find_first_not_of(" \n", at + kThinkToken.size()) == std::string::npos;
}

bool last_is_prefix(const std::vector<Message>& messages) {
  return !messages.empty() && messages.back().prefix;
}

size_t common_prefix(const std::string& a, const std::string& b) {
  const auto [x, y] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<size_t>(x - a.begin());
}

// A list names several templates; "default" is the one for conversations.
std::string template_of_config(const Json& config, const std::string& where) {
  const Json* value = config.find("chat_template");
  if (value == nullptr || value->is_null()) return "";
  if (value->is_string()) return value->as_string("chat_template");
  if (!value->is_array()) {
    fail(ErrorCode::kModel, where, ": chat_template is ", value->dump().substr(0, 80),
         "; expected a text, or a list of named ones");
  }
  for (const Json& item : value->items("chat_template")) {
    if (item.string_at("name") == "default") return item.string_at("template");
  }
  fail(ErrorCode::kModel, where, ": chat_template is a list without a template named 'default'");
}

}  // namespace

PromptFormat::PromptFormat(const Tokenizer& tokenizer, std::string name,
                           std::optional<jinja::Template> own)
    : tokenizer_(&tokenizer), name_(std::move(name)), template_(std::move(own)) {
  control_ = tokenizer.spec().added_tokens;
  std::stable_sort(control_.begin(), control_.end(), [](const AddedToken& a, const AddedToken& b) {
    return a.content.size() > b.content.size();
  });
}

PromptFormat PromptFormat::from_template(std::string_view source, const std::string& name,
                                         const Tokenizer& tokenizer) {
  if (source == chat_template()) return PromptFormat(tokenizer, "fathom", std::nullopt);
  return PromptFormat(tokenizer, name, jinja::Template(source, name));
}

PromptFormat PromptFormat::named(std::string_view name, const Tokenizer& tokenizer) {
  if (name == "fathom") return PromptFormat(tokenizer, "fathom", std::nullopt);
  if (const BuiltInFormat* format = find_built_in_format(name)) {
    return PromptFormat(tokenizer, std::string(name),
                        jinja::Template(format->source, std::string(name)));
  }
  std::vector<std::string> names = {"fathom"};
  for (const BuiltInFormat& format : built_in_formats()) names.emplace_back(format.name);
  std::string list;
  for (const std::string& each : names) list += (list.empty() ? "" : ", ") + each;
  fail(ErrorCode::kUsage, "chat template: '", name, "' is unknown", did_you_mean(name, names),
       "; there are ", list, ", and files with Jinja text");
}

bool PromptFormat::known_for(const Tokenizer& tokenizer) {
  return !tokenizer.spec().chat_template.empty() || built_in_format_for(tokenizer) != nullptr;
}

PromptFormat PromptFormat::of(const Tokenizer& tokenizer) {
  const std::string& source = tokenizer.spec().chat_template;
  if (!source.empty()) return from_template(source, "the chat template", tokenizer);
  if (const BuiltInFormat* format = built_in_format_for(tokenizer)) {
    return named(format->name, tokenizer);
  }
  const ControlIds& control = tokenizer.control();
  if (control.bos && control.eos && control.user && control.assistant) {
    return named("fathom", tokenizer);
  }
  fail(
      ErrorCode::kModel,
      "the tokenizer has no chat template, and its tokens show no family with a format of its own; "
      "expected chat_template.jinja, chat_template in tokenizer_config.json, or an explicit choice "
      "with --chat-template");
}

PromptFormat PromptFormat::load(const std::string& folder, const Tokenizer& tokenizer) {
  const std::string file = join_path(folder, "chat_template.jinja");
  if (exists(file)) return from_template(read_file(file), file, tokenizer);
  const std::string config = join_path(folder, "tokenizer_config.json");
  if (exists(config)) {
    const Json json = parse_json(read_file(config), config, ErrorCode::kModel);
    const std::string source = template_of_config(json, config);
    if (!source.empty()) return from_template(source, config, tokenizer);
  }
  return of(tokenizer);
}

const std::string& PromptFormat::source() const {
  static const std::string own(chat_template());
  return template_ ? template_->source() : own;
}

bool PromptFormat::shows_tools() const {
  // Not the tools of "message['tool_calls']".
  const std::string& text = source();
  for (size_t at = text.find("tools"); at != std::string::npos; at = text.find("tools", at + 1)) {
    const bool word = at == 0 || (std::isalnum(static_cast<unsigned char>(text[at - 1])) == 0 &&
                                  text[at - 1] != '_');
    if (word) return true;
  }
  return false;
}

ToolSyntax PromptFormat::tool_syntax() const {
  const auto writes = [&](std::string_view token) {
    return tokenizer_->added_token_id(token) && source().find(token) != std::string::npos;
  };
  if (writes(kDsmlToken)) return ToolSyntax::kDsml;
  if (writes(kHermesCallToken)) return ToolSyntax::kHermes;
  if (!tokenizer_->added_token_id("<｜tool▁sep｜>")) return ToolSyntax::kNone;
  if (source().find("```json") != std::string::npos) return ToolSyntax::kFenced;
  if (source().find("<｜tool▁sep｜>") != std::string::npos) return ToolSyntax::kPlain;
  return ToolSyntax::kNone;
}

jinja::RenderInput PromptFormat::input_for(const std::vector<Message>& messages, bool cut_last,
                                           const PromptOptions& options) const {
  jinja::RenderInput input;
  input.now = options.now;
  const auto add = [&](const char* name, jinja::Value value) {
    input.variables.emplace_back(name, std::move(value));
  };
  std::vector<jinja::Value> list;
  for (size_t i = 0; i < messages.size(); ++i) {
    list.push_back(message_value(messages[i], cut_last && i + 1 == messages.size()));
  }
  add("messages", make_list(std::move(list)));
  const bool has_tools = options.tools.is_array() && !options.tools.empty();
  add("tools", has_tools ? jinja::Value::from_json(options.tools, kInputMark) : jinja::Value());
  add("documents", jinja::Value());
  add("add_generation_prompt", jinja::Value(options.add_generation_prompt && !cut_last));
  if (options.thinking) {
    add("thinking", jinja::Value(*options.thinking));
    add("enable_thinking", jinja::Value(*options.thinking));
  }
  const TokenizerSpec& spec = tokenizer_->spec();
  const auto add_token = [&](const char* name, const std::string& token) {
    if (!token.empty()) add(name, jinja::Value::string(token));
  };
  add_token("bos_token", spec.bos_token);
  add_token("eos_token", spec.eos_token);
  add_token("pad_token", spec.pad_token);
  return input;
}

MarkedText PromptFormat::rendered(const std::vector<Message>& messages,
                                  const PromptOptions& options) const {
  return template_->render(input_for(messages, false, options), options.limits);
}

// The conversation up to the text of its last message, then that text, and nothing behind it.
MarkedText PromptFormat::with_open_answer(const std::vector<Message>& messages,
                                          const PromptOptions& options) const {
  MarkedText text = template_->render(input_for(messages, true, options), options.limits);
  const auto cut = std::find_if(text.marks().begin(), text.marks().end(),
                                [](char mark) { return (mark & kCutMark) != 0; });
  if (cut == text.marks().end()) {
    fail(
        ErrorCode::kUsage, name_,
        ": the template does not write the text of the last assistant message, so there is nothing "
        "to continue (prefix)");
  }
  text.resize(static_cast<size_t>(cut - text.marks().begin()));
  const Message& last = messages.back();
  if (!last.reasoning_content.empty()) {
    if (!ends_with_open_think(text)) {
      text.append(concat(kThinkToken, "\n"));
    }
    text.append(last.reasoning_content, kInputMark);
    if (!last.content.empty()) text.append(kEndThinkToken);
  }
  text.append(answer_text(last.content).text());
  return text;
}

void PromptFormat::force_thinking(const std::vector<Message>& messages,
                                  const PromptOptions& options, MarkedText& text) const {
  if (!options.force_thinking || !options.thinking || !options.add_generation_prompt) return;
  const bool open = ends_with_open_think(text);
  if (*options.thinking == open) return;
  if (!*options.thinking) {
    const bool broken = text.bytes().ends_with('\n');
    return text.append(concat(broken ? "\n" : "", kEndThinkToken, broken ? "\n\n" : ""));
  }
  if (!tokenizer_->added_token_id(kThinkToken)) {
    fail(ErrorCode::kUsage, "this model has no token ", kThinkToken,
         "; it cannot be asked to think");
  }
  // Behind a tool's result the answer is already under way.
  if (messages.empty() || messages.back().role == "tool") return;
  text.append(concat(kThinkToken, "\n"));
}

std::vector<Message> PromptFormat::with_tools_described(const std::vector<Message>& messages,
                                                        const PromptOptions& options) const {
  std::vector<Message> all = messages;
  if (!options.describe_tools || !options.tools.is_array() || options.tools.empty()) return all;
  if (shows_tools()) return all;
  jinja::RenderInput input;
  input.variables.emplace_back("tools", jinja::Value::from_json(options.tools, kInputMark));
  const std::string text =
      jinja::Template(tool_description_template(), "tools").render(input, options.limits).bytes();
  const auto last_system =
      std::find_if(all.rbegin(), all.rend(), [](const Message& m) { return m.role == "system"; });
  if (last_system != all.rend()) {
    last_system->content += text;
  } else {
    Message system;
    system.role = "system";
    system.content = text;
    all.insert(all.begin(), system);
  }
  return all;
}

Prompt PromptFormat::own_prompt(const std::vector<Message>& messages,
                                const PromptOptions& options) const {
  if (options.tools.is_array() && !options.tools.empty()) {
    fail(ErrorCode::kUsage, "this model's format has no tools");
  }
  if (last_is_prefix(messages)) {
    fail(ErrorCode::kUsage,
         "this model's format cannot continue an answer that was begun (prefix)");
  }
  ChatOptions own;
  own.add_generation_prompt = options.add_generation_prompt;
  own.open_think = options.thinking.value_or(false);
  RenderedChat chat = render_own_chat(*tokenizer_, messages, own);
  return {render_chat_text(messages, own), std::move(chat.ids), std::move(chat.answer_mask),
          own.open_think && own.add_generation_prompt};
}

Prompt PromptFormat::render(const std::vector<Message>& messages,
                            const PromptOptions& options) const {
  if (is_own()) return own_prompt(messages, options);
  const std::vector<Message> all = with_tools_described(messages, options);
  MarkedText text;
  Prompt prompt;
  if (last_is_prefix(all)) {
    text = with_open_answer(all, options);
    // Thinking is open where it was opened last.
    const size_t open = rfind_own(text, kThinkToken), close = rfind_own(text, kEndThinkToken);
    const size_t turn = rfind_own(text, kAssistantToken);
    prompt.opens_thinking = open != std::string::npos &&
                            (close == std::string::npos || close < open) &&
                            (turn == std::string::npos || turn < open);
  } else {
    text = rendered(all, options);
    force_thinking(all, options, text);
    prompt.opens_thinking = options.add_generation_prompt && ends_with_open_think(text);
  }
  encode(text, all, prompt.ids);
  prompt.text = text.bytes();
  return prompt;
}

std::vector<PromptFormat::Span> PromptFormat::answer_spans(const std::vector<Message>& messages,
                                                           const PromptOptions& options,
                                                           const MarkedText& whole) const {
  std::vector<Span> spans;
  const auto marked = [&](size_t at) { return (whole.marks()[at] & kAnswerMark) != 0; };
  for (size_t at = 0; at < whole.size(); ++at) {
    if (!marked(at)) continue;
    const size_t begin = at;
    while (at < whole.size() && marked(at)) ++at;
    spans.push_back({begin, at});
  }
  if (source().find("endgeneration") != std::string::npos) return spans;
  const std::string& eos = tokenizer_->spec().eos_token;
  for (size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].role != "assistant") continue;
    const std::vector<Message> before(messages.begin(),
                                      messages.begin() + static_cast<std::ptrdiff_t>(i));
    std::vector<Message> with = before;
    with.push_back(messages[i]);
    PromptOptions asking = options, closed = options;
    asking.add_generation_prompt = true;
    closed.add_generation_prompt = false;
    const std::string prompt = i == 0 ? "" : rendered(before, asking).bytes();
    const std::string through = rendered(with, closed).bytes();
    const size_t begin = common_prefix(prompt, whole.bytes());
    size_t end = common_prefix(through, whole.bytes());
    if (end <= begin) continue;  // the template left it out
    const size_t last = eos.empty() ? std::string::npos : whole.bytes().rfind(eos, end - 1);
    if (last != std::string::npos && last >= begin && last + eos.size() <= end) {
      end = last + eos.size();
    }
    spans.push_back({std::max(begin, spans.empty() ? size_t{0} : spans.back().end), end});
  }
  return spans;
}

Prompt PromptFormat::render_answers(const std::vector<Message>& messages,
                                    const PromptOptions& options) const {
  if (is_own()) return own_prompt(messages, options);
  const MarkedText whole = rendered(messages, options);
  Prompt prompt;
  prompt.text = whole.bytes();
  size_t at = 0;
  const auto take = [&](size_t end, float weight) {
    encode(whole.substr(at, end - at), messages, prompt.ids);
    prompt.answer_mask.resize(prompt.ids.size(), weight);
    at = end;
  };
  for (const Span& span : answer_spans(messages, options, whole)) {
    take(span.begin, 0.0f);
    take(span.end, 1.0f);
  }
  take(whole.size(), 0.0f);
  return prompt;
}

const AddedToken* PromptFormat::control_at(const MarkedText& text, size_t at, size_t end,
                                           bool normalized) const {
  if ((text.marks()[at] & kInputMark) != 0) return nullptr;
  for (const AddedToken& token : control_) {
    const std::string& content = token.content;
    if (token.normalized != normalized || content.empty() || content.size() > end - at) continue;
    if (content[0] != text.bytes()[at]) continue;
    if (text.bytes().compare(at, content.size(), content) != 0) continue;
    const std::string_view marks = std::string_view(text.marks()).substr(at, content.size());
    if (std::all_of(marks.begin(), marks.end(), [](char m) { return (m & kInputMark) == 0; })) {
      return &token;
    }
  }
  return nullptr;
}

// A text without control tokens; where it is what a model wrote, with the ids that it chose.
void PromptFormat::append_plain(std::string_view text, const std::vector<Message>& messages,
                                std::vector<int32_t>& ids) const {
  const auto wrote = std::find_if(messages.begin(), messages.end(), [&](const Message& message) {
    return !message.content_ids.empty() && message.content == text;
  });
  const std::vector<int32_t> piece =
      wrote != messages.end() ? wrote->content_ids : tokenizer_->encode(text);
  ids.insert(ids.end(), piece.begin(), piece.end());
}

// [begin, end) with the added tokens of one kind taken out; those that are not `normalized` go
// first.
void PromptFormat::append_piece(const MarkedText& text, const std::vector<Message>& messages,
                                bool normalized, size_t begin, size_t end,
                                std::vector<int32_t>& ids) const {
  const auto plain = [&](size_t from, size_t to) {
    if (from == to) return;
    if (!normalized) return append_piece(text, messages, true, from, to, ids);
    append_plain(std::string_view(text.bytes()).substr(from, to - from), messages, ids);
  };
  size_t kept = begin;
  for (size_t at = begin; at < end;) {
    const AddedToken* token = control_at(text, at, end, normalized);
    if (token == nullptr) {
      ++at;
      continue;
    }
    plain(kept, at);
    ids.push_back(token->id);
    at += token->content.size();
    kept = at;
  }
  plain(kept, end);
}

void PromptFormat::encode(const MarkedText& text, const std::vector<Message>& messages,
                          std::vector<int32_t>& ids) const {
  append_piece(text, messages, false, 0, text.size(), ids);
}

}  // namespace fathom
