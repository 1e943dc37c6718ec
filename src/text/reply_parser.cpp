#include "text/reply_parser.h"

#include <algorithm>

namespace fathom {
namespace {

constexpr std::string_view kSpaces = " \t\r\n";
constexpr std::string_view kFence = "```";

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(kSpaces);
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

// How much of the end of `text` may be the fence that closes a call: blanks, ticks, blanks.
size_t closing_size(std::string_view text) {
  size_t at = text.size();
  const auto back_over = [&](std::string_view set, size_t most) {
    while (at > 0 && most > 0 && set.find(text[at - 1]) != std::string_view::npos) {
      --at;
      --most;
    }
  };
  back_over(kSpaces, std::string::npos);
  back_over("`", kFence.size());
  back_over(kSpaces, std::string::npos);
  return text.size() - at;
}

// Whether JSON that breaks off here breaks off inside a string.
bool inside_json_string(std::string_view json) {
  bool inside = false;
  for (size_t at = 0; at < json.size(); ++at) {
    if (json[at] == '"') inside = !inside;
    if (inside && json[at] == '\\') ++at;
  }
  return inside;
}

}  // namespace

std::string ReplyParser::Trim::push(std::string text) {
  const std::string_view blanks = newlines_only ? "\n" : kSpaces;
  if (at_start) {
    text.erase(0, std::min(text.find_first_not_of('\n'), text.size()));
    if (text.empty()) return "";
    at_start = false;
  }
  text.insert(0, held);
  const size_t end = text.find_last_not_of(blanks);
  const size_t kept = end == std::string::npos ? 0 : end + 1;
  held = text.substr(kept);
  text.resize(kept);
  return text;
}

ReplyParser::ReplyParser(const Tokenizer& tokenizer, const ReplyForm& form)
    : control_(tokenizer.control()),
      form_(form),
      state_(form.opened_think ? State::kThinking : State::kStart),
      decoder_(tokenizer, {.skip_special = true}),
      reasoned_(form.opened_think) {
  reasoning_.newlines_only = true;
  answer_.at_start = false;
  if (form.tools == ToolSyntax::kNone) return;
  if (form.tools == ToolSyntax::kDsml) {
    marks_.dsml = tokenizer.added_token_id(kDsmlToken);
    return;
  }
  if (form.tools == ToolSyntax::kHermes) {
    marks_.call_begin = tokenizer.added_token_id(kHermesCallToken);
    marks_.call_end = tokenizer.added_token_id(kHermesEndCallToken);
    return;
  }
  marks_.calls_begin = tokenizer.added_token_id("<｜tool▁calls▁begin｜>");
  marks_.calls_end = tokenizer.added_token_id("<｜tool▁calls▁end｜>");
  marks_.call_begin = tokenizer.added_token_id("<｜tool▁call▁begin｜>");
  marks_.call_end = tokenizer.added_token_id("<｜tool▁call▁end｜>");
  marks_.separator = tokenizer.added_token_id("<｜tool▁sep｜>");
}

void ReplyParser::emit(ReplyPiece::Kind kind, std::string text) {
  if (text.empty() && kind != ReplyPiece::Kind::kToolName) return;
  const bool of_call =
      kind == ReplyPiece::Kind::kToolName || kind == ReplyPiece::Kind::kToolArguments;
  out_.push_back({kind, std::move(text), of_call ? calls_ - 1 : -1});
}

void ReplyParser::open_thinking() {
  state_ = State::kThinking;
  reasoned_ = true;
}

void ReplyParser::close_thinking() {
  reasoning_.held.clear();  // newlines before </think>
  reasoning_tokens_ = tokens_;
  answer_.at_start = true;
  state_ = State::kAnswer;
}

void ReplyParser::begin_call() {
  if (state_ == State::kThinking) close_thinking();
  answer_.held.clear();  // whitespace before calls
  head_.clear();
  name_.clear();
  arguments_.clear();
  tail_.clear();
  call_open_ = false;
  state_ = State::kCallHead;
  if (form_.tools != ToolSyntax::kHermes) return;
  hermes_.emplace();
  state_ = State::kHermes;
}

void ReplyParser::start_call(std::string name) {
  ++calls_;
  call_open_ = true;
  emit(ReplyPiece::Kind::kToolName, std::move(name));
}

// The separator came: what stood before it is the call's type, or its name.
void ReplyParser::end_head() {
  if (form_.tools == ToolSyntax::kFenced) {
    state_ = State::kCallName;
    return;
  }
  const std::string name = trimmed(head_);
  if (name.empty()) return give_up_call("");
  start_call(name);
  state_ = State::kArguments;
}

// The block is no call: its text is answer.
void ReplyParser::give_up_call(const std::string& text) {
  malformed_ = true;
  emit(ReplyPiece::Kind::kContent, head_ + name_ + text);
  head_.clear();
  name_.clear();
  state_ = State::kAnswer;
}

// The name ends at a line end, at the fence or where the JSON begins.
void ReplyParser::take_name(const std::string& text) {
  name_ += text;
  const size_t begin = std::min(name_.find_first_not_of(kSpaces), name_.size());
  const size_t end = name_.find_first_of("\n`{[", begin);
  if (end == std::string::npos) return;
  std::string rest = name_.substr(end);
  const size_t word = std::min(rest.find_first_not_of(kSpaces), rest.size());
  if (word == rest.size()) return;
  // The opening fence, with its language: wait until it is whole.
  if (rest[word] == '`') {
    const size_t fence_end = rest.find_first_of("\n{[", word);
    if (fence_end == std::string::npos) return;
    rest = rest.substr(fence_end);
  }
  const std::string name = trimmed(name_.substr(0, end));
  if (name.empty()) return give_up_call("");
  name_.clear();
  start_call(name);
  state_ = State::kArguments;
  take_arguments(rest);
}

void ReplyParser::take_arguments(const std::string& text) {
  std::string now = tail_ + text;
  if (arguments_.empty()) now.erase(0, std::min(now.find_first_not_of(kSpaces), now.size()));
  const size_t held = form_.tools == ToolSyntax::kFenced
                          ? closing_size(now)
                          : now.size() - std::min(now.find_last_not_of(kSpaces) + 1, now.size());
  tail_ = now.substr(now.size() - held);
  now.resize(now.size() - held);
  arguments_ += now;
  emit(ReplyPiece::Kind::kToolArguments, std::move(now));
}

void ReplyParser::end_call() {
  if (!call_open_) {
    // Without arguments there may be no fence at all: the name alone is no call.
    return give_up_call("");
  }
  if (form_.tools == ToolSyntax::kFenced) {
    // Only a whole fence closes; other ticks are the arguments'.
    const std::string inner = trimmed(tail_);
    if (!inner.empty() && inner != kFence) {
      emit(ReplyPiece::Kind::kToolArguments, tail_.substr(0, tail_.find_last_not_of(kSpaces) + 1));
    }
  }
  tail_.clear();
  call_open_ = false;
  state_ = State::kBetweenCalls;
}

void ReplyParser::give(const std::vector<CallEvent>& events) {
  for (const CallEvent& event : events) {
    if (event.kind == CallEvent::Kind::kName) {
      start_call(event.text);
    } else {
      emit(ReplyPiece::Kind::kToolArguments, event.text);
    }
  }
}

// Only behind "<" does the mark open a block; elsewhere it is no text either.
void ReplyParser::take_dsml_mark() {
  if (state_ == State::kDsml) {
    dsml_->mark();
    return end_dsml();
  }
  if (std::exchange(tag_start_, "").empty()) return;
  if (state_ == State::kThinking) close_thinking();
  answer_.held.clear();  // whitespace before calls
  dsml_.emplace();
  state_ = State::kDsml;
}

// Leaves the block where it is over.
void ReplyParser::end_dsml() {
  give(dsml_->take_events());
  if (!dsml_->closed() && !dsml_->broken()) return;
  const bool broken = dsml_->broken() || calls_ == 0;
  if (broken) malformed_ = true;
  state_ = broken ? State::kAnswer : State::kBetweenCalls;
  take_text(dsml_->take_rest());
}

void ReplyParser::end_hermes(bool cut) {
  const bool is_call = hermes_->finish(cut);
  give(hermes_->take_events());
  state_ = State::kBetweenCalls;
  if (is_call) return;
  malformed_ = true;
  state_ = State::kAnswer;
  emit(ReplyPiece::Kind::kContent, hermes_->body());
}

// It was text.
void ReplyParser::release_tag_start() {
  if (tag_start_.empty()) return;
  const std::string text = std::exchange(tag_start_, "");
  if (state_ == State::kThinking) return emit(ReplyPiece::Kind::kReasoning, reasoning_.push(text));
  emit(ReplyPiece::Kind::kContent, answer_.push(text));
}

bool ReplyParser::take_call_mark(int32_t id) {
  if (id == marks_.dsml) return take_dsml_mark(), true;
  if (state_ == State::kHermes && (id == marks_.call_end || id == marks_.call_begin)) {
    end_hermes(/*cut=*/false);
    if (id == marks_.call_begin) begin_call();
    return true;
  }
  const auto in_call = [&] {
    return state_ == State::kCallHead || state_ == State::kCallName || state_ == State::kArguments;
  };
  if (id == marks_.calls_begin) {
    if (in_call()) end_call();
    if (state_ == State::kThinking) close_thinking();
    answer_.held.clear();
    state_ = State::kBetweenCalls;
  } else if (id == marks_.call_begin) {
    if (in_call()) end_call();
    begin_call();
  } else if (id == marks_.separator) {
    if (state_ == State::kCallHead) end_head();
  } else if (id == marks_.call_end) {
    if (in_call()) end_call();
  } else if (id == marks_.calls_end) {
    if (in_call()) end_call();
    if (state_ == State::kBetweenCalls) state_ = State::kAnswer;
  } else {
    return false;
  }
  return true;
}

// Marks never reach the text, in their place or out of it.
bool ReplyParser::take_mark(int32_t id) {
  if (id == control_.eos) {
    ended_ = true;
    return true;
  }
  if (id == control_.think) {
    if (state_ == State::kStart) open_thinking();
    return true;
  }
  if (id == control_.end_think) {
    if (state_ == State::kThinking) close_thinking();
    return true;
  }
  if (id == control_.bos || id == control_.pad || id == control_.user || id == control_.assistant) {
    return true;
  }
  return take_call_mark(id);
}

void ReplyParser::take_text(const std::string& piece) {
  if (piece.empty()) return;
  if (state_ == State::kDsml) {
    dsml_->text(piece);
    return end_dsml();
  }
  std::string text = std::exchange(tag_start_, "") + piece;
  if (marks_.dsml && text.ends_with('<')) {
    tag_start_ = "<";
    text.pop_back();
    if (text.empty()) return;
  }
  switch (state_) {
    case State::kDsml:
      return;
    case State::kHermes:
      hermes_->text(text);
      return give(hermes_->take_events());
    case State::kThinking:
      return emit(ReplyPiece::Kind::kReasoning, reasoning_.push(text));
    case State::kStart:
      // Blanks may still come before <think>.
      if (text.find_first_not_of(kSpaces) != std::string::npos) state_ = State::kAnswer;
      return emit(ReplyPiece::Kind::kContent, answer_.push(text));
    case State::kAnswer:
      return emit(ReplyPiece::Kind::kContent, answer_.push(text));
    case State::kBetweenCalls:
      if (text.find_first_not_of(kSpaces) == std::string::npos) return;
      if (calls_ == 0) malformed_ = true;
      state_ = State::kAnswer;
      return emit(ReplyPiece::Kind::kContent, answer_.push(text));
    case State::kCallHead:
      head_ += text;
      return;
    case State::kCallName:
      return take_name(text);
    case State::kArguments:
      return take_arguments(text);
  }
}

bool ReplyParser::is_mark(int32_t id) const {
  return id == control_.eos || id == control_.think || id == control_.end_think ||
         id == control_.bos || id == control_.pad || id == control_.user ||
         id == control_.assistant || id == marks_.calls_begin || id == marks_.calls_end ||
         id == marks_.call_begin || id == marks_.call_end || id == marks_.separator ||
         id == marks_.dsml;
}

std::vector<ReplyPiece> ReplyParser::push(int32_t id) {
  if (ended_) return {};
  ++tokens_;
  out_.clear();
  if (is_mark(id)) {
    take_text(decoder_.finish());  // a character cut off by the mark
    if (id != marks_.dsml) release_tag_start();
    take_mark(id);
  } else {
    take_text(decoder_.push(id));
  }
  if (ended_) {
    std::vector<ReplyPiece> rest = std::exchange(out_, {});
    std::vector<ReplyPiece> held = finish();
    rest.insert(rest.end(), held.begin(), held.end());
    return rest;
  }
  return std::exchange(out_, {});
}

std::vector<ReplyPiece> ReplyParser::finish() {
  out_.clear();
  take_text(decoder_.finish());
  release_tag_start();
  switch (state_) {
    case State::kDsml:
      if (calls_ == 0) malformed_ = true;
      break;
    case State::kHermes:
      end_hermes(/*cut=*/!ended_);
      break;
    case State::kThinking:
      reasoning_tokens_ = tokens_;
      emit(ReplyPiece::Kind::kReasoning, std::exchange(reasoning_.held, ""));
      break;
    case State::kStart:
    case State::kAnswer:
      emit(ReplyPiece::Kind::kContent, std::exchange(answer_.held, ""));
      break;
    case State::kCallHead:
    case State::kCallName:
      // Cut before the name was whole: no call came.
      if (ended_) give_up_call("");
      break;
    case State::kArguments:
      // Cut off: what was held back is no fence where a string is still open.
      if (!ended_ && inside_json_string(arguments_)) {
        emit(ReplyPiece::Kind::kToolArguments, std::exchange(tail_, ""));
      }
      end_call();
      break;
    case State::kBetweenCalls:
      break;
  }
  return std::exchange(out_, {});
}

void append_piece(const ReplyPiece& piece, ParsedReply& reply) {
  switch (piece.kind) {
    case ReplyPiece::Kind::kReasoning:
      reply.reasoning_content += piece.text;
      break;
    case ReplyPiece::Kind::kContent:
      reply.content += piece.text;
      break;
    case ReplyPiece::Kind::kToolName:
      reply.tool_calls.push_back({piece.text, ""});
      break;
    case ReplyPiece::Kind::kToolArguments:
      reply.tool_calls[static_cast<size_t>(piece.call)].arguments += piece.text;
      break;
  }
}

std::string finish_reason_of(ReplyEnd end, size_t calls) {
  if (end == ReplyEnd::kMaxTokens) return "length";
  return calls > 0 ? "tool_calls" : "stop";
}

ParsedReply parse_reply(const Tokenizer& tokenizer, const std::vector<int32_t>& ids,
                        const ReplyForm& form, ReplyEnd end) {
  ReplyParser parser(tokenizer, form);
  ParsedReply reply;
  for (const int32_t id : ids) {
    for (const ReplyPiece& piece : parser.push(id)) append_piece(piece, reply);
  }
  for (const ReplyPiece& piece : parser.finish()) append_piece(piece, reply);
  if (form.opened_think && parser.thinking() && end != ReplyEnd::kMaxTokens) {
    reply.content = std::exchange(reply.reasoning_content, "");
  }
  reply.finish_reason = finish_reason_of(end, reply.tool_calls.size());
  reply.malformed_call = parser.malformed_call();
  return reply;
}

}  // namespace fathom
