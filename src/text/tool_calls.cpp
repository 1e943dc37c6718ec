#include "text/tool_calls.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "io/json.h"

namespace fathom {
namespace {

constexpr std::string_view kSpaces = " \t\r\n";

// How much of the end of `text` may be the beginning of a tag: "<" or "</".
size_t tag_start_size(std::string_view text) {
  if (text.ends_with("</")) return 2;
  return text.ends_with('<') ? 1 : 0;
}

// What stands between the quotes behind `key=`.
std::optional<std::string> attribute(const std::string& tag, std::string_view key) {
  const std::string opening = concat(" ", key, "=\"");
  const size_t at = tag.find(opening);
  if (at == std::string::npos) return std::nullopt;
  const size_t begin = at + opening.size(), end = tag.find('"', begin);
  if (end == std::string::npos) return std::nullopt;
  return tag.substr(begin, end - begin);
}

void add(std::vector<CallEvent>& events, CallEvent::Kind kind, std::string text) {
  if (kind == CallEvent::Kind::kName || !text.empty()) events.push_back({kind, std::move(text)});
}

// As it stands inside the quotes of a JSON string.
std::string json_escaped(std::string_view text) {
  const std::string quoted = Json(std::string(text)).dump();
  return quoted.substr(1, quoted.size() - 2);
}

}  // namespace

void DsmlBlock::mark() {
  switch (state_) {
    case State::kBetween:
    case State::kString:
    case State::kJson:
      if (held_.empty()) return give_up("");
      if (state_ != State::kBetween && held_ != "</") return give_up(held_);
      tag_ = held_ == "</" ? "/" : "";
      held_.clear();
      // A value ends where its closing tag begins.
      if (state_ == State::kString) add(events_, CallEvent::Kind::kArguments, "\"");
      state_ = State::kTag;
      return;
    case State::kTag:
      return give_up("");
    case State::kClosed:
    case State::kBroken:
      return;
  }
}

void DsmlBlock::text(std::string_view text) {
  while (!text.empty()) {
    switch (state_) {
      case State::kTag:
        take_tag(text);
        break;
      case State::kBetween:
        take_between(text);
        break;
      case State::kString:
      case State::kJson:
        take_value(text);
        break;
      case State::kClosed:
      case State::kBroken:
        rest_ += text;
        return;
    }
  }
}

void DsmlBlock::take_tag(std::string_view& text) {
  const size_t end = text.find('>');
  tag_ += text.substr(0, end);
  text.remove_prefix(end == text.npos ? text.size() : end + 1);
  if (end != std::string_view::npos) obey(std::exchange(tag_, ""));
}

// Between tags there is white space alone.
void DsmlBlock::take_between(std::string_view& text) {
  held_ += text;
  text = {};
  held_.erase(0, std::min(held_.find_first_not_of(kSpaces), held_.size()));
  if (!held_.empty() && held_ != "<" && held_ != "</") give_up(std::exchange(held_, ""));
}

void DsmlBlock::take_value(std::string_view& text) {
  std::string now = std::exchange(held_, "") + std::string(text);
  text = {};
  held_ = now.substr(now.size() - tag_start_size(now));
  now.resize(now.size() - held_.size());
  give_value(now);
}

void DsmlBlock::give_value(std::string_view text) {
  if (text.empty()) return;
  add(events_, CallEvent::Kind::kArguments,
      state_ == State::kString ? json_escaped(text) : std::string(text));
}

void DsmlBlock::obey(const std::string& tag) {
  state_ = State::kBetween;
  if (!in_block_) {
    in_block_ = tag == "function_calls" || tag == "tool_calls";
    if (!in_block_) give_up(concat("<", tag, ">"));
    return;
  }
  if (tag == "/parameter" && in_call_) return;
  if (tag == "/invoke" && in_call_) {
    add(events_, CallEvent::Kind::kArguments, has_parameters_ ? "}" : "{}");
    in_call_ = false;
    return;
  }
  if ((tag == "/function_calls" || tag == "/tool_calls") && !in_call_) {
    state_ = State::kClosed;
    return;
  }
  if (tag.starts_with("parameter ") && in_call_) return begin_parameter(tag);
  const std::optional<std::string> name = attribute(tag, "name");
  if (!tag.starts_with("invoke ") || in_call_ || !name || name->empty())
    return give_up(concat("<", tag, ">"));
  in_call_ = true;
  has_parameters_ = false;
  add(events_, CallEvent::Kind::kName, *name);
}

void DsmlBlock::begin_parameter(const std::string& tag) {
  const std::optional<std::string> name = attribute(tag, "name"), string = attribute(tag, "string");
  if (!name || !string || (*string != "true" && *string != "false"))
    return give_up(concat("<", tag, ">"));
  state_ = *string == "true" ? State::kString : State::kJson;
  add(events_, CallEvent::Kind::kArguments,
      concat(has_parameters_ ? ", " : "{", Json(*name).dump(), ": ",
             state_ == State::kString ? "\"" : ""));
  has_parameters_ = true;
}

void DsmlBlock::give_up(std::string_view text) {
  state_ = State::kBroken;
  rest_ += text;
}

namespace {

// The name, and where the value of "arguments" begins.
struct HermesHead {
  std::string name;
  size_t arguments = 0;
};

// The end of the JSON value that begins at `at`; nothing where it is not whole.
std::optional<size_t> end_of_value(std::string_view json, size_t at) {
  int depth = 0;
  bool inside = false;
  for (size_t i = at; i < json.size(); ++i) {
    const char c = json[i];
    if (inside) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        inside = false;
        if (depth == 0) return i + 1;
      }
    } else if (c == '"') {
      inside = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return i;
      if (--depth == 0) return i + 1;
    } else if (depth == 0 && (c == ',' || kSpaces.find(c) != std::string_view::npos)) {
      return i;
    }
  }
  return std::nullopt;
}

size_t behind_spaces(std::string_view json, size_t at) {
  return std::min(json.find_first_not_of(kSpaces, at), json.size());
}

// Nothing where the body does not say so much yet, or says it in another order.
std::optional<HermesHead> read_head(std::string_view body) {
  HermesHead head;
  size_t at = behind_spaces(body, 0);
  if (at >= body.size() || body[at] != '{') return std::nullopt;
  at = behind_spaces(body, at + 1);
  while (at < body.size() && body[at] == '"') {
    const std::optional<size_t> key_end = end_of_value(body, at);
    if (!key_end) return std::nullopt;
    const std::string_view key = body.substr(at + 1, *key_end - at - 2);
    at = behind_spaces(body, *key_end);
    if (at >= body.size() || body[at] != ':') return std::nullopt;
    at = behind_spaces(body, at + 1);
    if (at >= body.size()) return std::nullopt;
    if (key == "arguments") {
      head.arguments = at;
      return head.name.empty() || body[at] != '{' ? std::nullopt : std::optional(head);
    }
    const std::optional<size_t> end = end_of_value(body, at);
    if (!end) return std::nullopt;
    if (key == "name" && body[at] == '"')
      head.name = parse_json(body.substr(at, *end - at), "name").as_string();
    at = behind_spaces(body, *end);
    if (at < body.size() && body[at] == ',') at = behind_spaces(body, at + 1);
  }
  return std::nullopt;
}

}  // namespace

void HermesCall::text(std::string_view text) {
  body_ += text;
  if (streaming_) return stream(text);
  std::optional<HermesHead> head;
  try {
    head = read_head(body_);
  } catch (const Error&) {
    return;  // a name that is no JSON string; finish() says so
  }
  if (!head) return;
  streaming_ = true;
  add(events_, CallEvent::Kind::kName, head->name);
  stream(std::string_view(body_).substr(head->arguments));
}

// The object of the arguments, up to its last brace.
void HermesCall::stream(std::string_view text) {
  if (value_ended_) return;
  size_t end = 0;
  for (; end < text.size() && !value_ended_; ++end) {
    const char c = text[end];
    if (in_string_) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
      }
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      ++depth_;
    } else if (c == '}' || c == ']') {
      value_ended_ = --depth_ == 0;
    }
  }
  add(events_, CallEvent::Kind::kArguments, std::string(text.substr(0, end)));
}

bool HermesCall::finish(bool cut) {
  if (streaming_ || cut) return true;  // what came before a cut has been given out
  try {
    const Json call = parse_json(body_, "tool call");
    const std::string name = call.string_at("name");
    const Json* arguments = call.find("arguments");
    if (name.empty()) return false;
    add(events_, CallEvent::Kind::kName, name);
    if (arguments == nullptr || arguments->is_null()) {
      add(events_, CallEvent::Kind::kArguments, "{}");
    } else {
      add(events_, CallEvent::Kind::kArguments,
          arguments->is_string() ? arguments->as_string() : arguments->dump());
    }
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace fathom
