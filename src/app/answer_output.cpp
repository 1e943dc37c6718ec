#include "app/answer_output.h"

#include <bit>
#include <cstdio>
#include <ctime>

#include "app/terminal.h"
#include "base/random.h"

namespace fathom {
namespace {

class TextReply : public AnswerOutput {
 public:
  TextReply(const Tokenizer& tokenizer, const AnswerForm& form)
      : printer_(tokenizer, form.reply, form.thinking) {}

  void token(int32_t id) override { printer_.push(id); }
  void finish(const Answer& answer) override {
    printer_.finish(answer.stopped());
    print("\n");
  }

 private:
  ReplyPrinter printer_;
};

class TextContinuation : public AnswerOutput {
 public:
  explicit TextContinuation(const Tokenizer& tokenizer)
      : decoder_(tokenizer, {.skip_special = true}) {}

  void token(int32_t id) override { print(visible(decoder_.push(id))); }
  void finish(const Answer&) override { print(visible(decoder_.finish()) + "\n"); }

 private:
  StreamDecoder decoder_;
};

// Without a tokenizer an answer is its ids.
class IdLine : public AnswerOutput {
 public:
  void token(int32_t id) override { print(concat(count_++ == 0 ? "" : " ", id)); }
  void finish(const Answer&) override { print("\n"); }

 private:
  int64_t count_ = 0;
};

// The number of an answer's call gives it an id; calls of other answers have other seeds.
std::string call_id(const AnswerForm& form, int number) {
  char text[32];
  const uint64_t bits =
      mix64(form.seed + 0x9E3779B97F4A7C15ull * static_cast<uint64_t>(number + 1));
  std::snprintf(text, sizeof text, "call_%016llx", static_cast<unsigned long long>(bits));
  return text;
}

Json call_json(int number, const std::string& id) {
  return Json::object({{"index", number}, {"id", id}, {"type", "function"}});
}

class JsonAnswer : public AnswerOutput {
 public:
  JsonAnswer(const LoadedModel& model, const AnswerForm& form) : model_(model), form_(form) {}

  void token(int32_t) override {}
  void finish(const Answer& answer) override {
    print(answer_json(model_, form_, answer).dump() + "\n");
  }

 protected:
  const LoadedModel& model_;
  AnswerForm form_;
};

// A line for each piece of text with the ids it took, then the whole object.
class JsonPieces : public JsonAnswer {
 public:
  JsonPieces(const LoadedModel& model, const AnswerForm& form) : JsonAnswer(model, form) {
    if (!model.tokenizer) return;
    if (form.chat) {
      parser_.emplace(*model.tokenizer, form.reply);
    } else {
      decoder_.emplace(*model.tokenizer, DecodeOptions{.skip_special = true});
    }
  }

  void token(int32_t id) override {
    ids_.push_back(id);
    if (parser_) {
      reply_pieces(parser_->push(id));
    } else if (decoder_) {
      text_piece(decoder_->push(id));
    } else {
      write(nullptr, "");
    }
  }
  void finish(const Answer& answer) override {
    if (parser_) reply_pieces(parser_->finish());
    if (decoder_) text_piece(decoder_->finish());
    JsonAnswer::finish(answer);
  }

 private:
  // Thinking, answer and calls never share a line.
  void reply_pieces(const std::vector<ReplyPiece>& pieces) {
    for (const ReplyPiece& piece : pieces) {
      switch (piece.kind) {
        case ReplyPiece::Kind::kReasoning:
          write("reasoning_content", piece.text);
          break;
        case ReplyPiece::Kind::kContent:
          write("content", piece.text);
          break;
        case ReplyPiece::Kind::kToolName: {
          Json call = call_json(piece.call, call_id(form_, piece.call));
          call["function"] = Json::object({{"name", piece.text}, {"arguments", ""}});
          write("tool_calls", Json::array({call}));
          break;
        }
        case ReplyPiece::Kind::kToolArguments:
          write("tool_calls", Json::array({Json::object(
                                  {{"index", piece.call},
                                   {"function", Json::object({{"arguments", piece.text}})}})}));
          break;
      }
    }
  }
  void text_piece(const std::string& text) {
    if (!text.empty()) write("text", text);
  }
  void write(const char* key, const Json& value) {
    Json choice = Json::object({{"index", 0}});
    if (form_.chat) {
      choice["delta"] = Json::object({{key, value}});
    } else {
      choice["text"] = key == nullptr ? Json() : value;
    }
    choice["finish_reason"] = nullptr;
    Json json = Json::object();
    json["object"] = form_.chat ? "chat.completion.chunk" : "text_completion";
    json["choices"] = Json::array({choice});
    json["ids"] = Json(ids_);
    ids_.clear();
    print(json.dump() + "\n");
  }

  std::optional<ReplyParser> parser_;
  std::optional<StreamDecoder> decoder_;
  std::vector<int32_t> ids_;  // since the last line
};

// The same program and weights give the same number, and with the same seed the same text.
std::string fingerprint(const LoadedModel& model) {
  constexpr std::string_view kVersion = FATHOM_VERSION;
  uint64_t hash = hash_text(kVersion.data(), kVersion.size());
  for (const Parameter* p : model.decoder->parameters()) {
    hash = mix64(hash ^ hash_text(p->name.data(), p->name.size()));
    // Of weights that stay in their file, the beginning of each: reading all would take minutes.
    for (const ConstView& part : p->stored.parts) {
      const auto bytes = static_cast<size_t>(byte_size(part.dtype, part.cols()));
      hash = mix64(hash ^ hash_text(static_cast<const char*>(part.data), bytes));
    }
    if (p->stored) continue;
    const float* values = p->value.data<float>();
    for (int64_t i = 0; i < p->value.shape().elements(); ++i) {
      hash = mix64(hash ^ std::bit_cast<uint32_t>(values[i]));
    }
  }
  char text[24];
  std::snprintf(text, sizeof text, "fp_%010llx", static_cast<unsigned long long>(hash >> 24));
  return text;
}

std::string unique_id(const AnswerForm& form) {
  const auto now = static_cast<uint64_t>(std::time(nullptr));
  const uint64_t bits = mix64(form.seed ^ mix64(now ^ static_cast<uint64_t>(1e9 * now_seconds())));
  char text[40];
  std::snprintf(text, sizeof text, "%s%016llx", form.chat ? "chatcmpl-" : "cmpl-",
                static_cast<unsigned long long>(bits));
  return text;
}

// Tokens up to and including </think>.
int64_t reasoning_tokens(const Tokenizer& tokenizer, const AnswerForm& form, const Answer& answer) {
  ReplyParser parser(tokenizer, form.reply);
  for (const int32_t id : answer.ids) parser.push(id);
  parser.finish();
  return std::min(parser.reasoning_tokens(), answer.text_tokens());
}

Json usage(const Answer& answer, int64_t reasoning) {
  Json json = Json::object();
  json["prompt_tokens"] = answer.prompt_tokens;
  json["completion_tokens"] = answer.text_tokens();
  json["total_tokens"] = answer.prompt_tokens + answer.text_tokens();
  json["prompt_cache_hit_tokens"] = 0;
  json["prompt_cache_miss_tokens"] = answer.prompt_tokens;
  json["prompt_tokens_details"] = Json::object({{"cached_tokens", 0}});
  json["completion_tokens_details"] = Json::object({{"reasoning_tokens", reasoning}});
  return json;
}

ReplyEnd end_of(const Answer& answer) {
  return answer.finish == FinishReason::kLength ? ReplyEnd::kMaxTokens : ReplyEnd::kEndToken;
}

Json message_json(const AnswerForm& form, const ParsedReply& reply) {
  Json message = Json::object({{"role", "assistant"}, {"content", reply.content}});
  if (!reply.reasoning_content.empty()) message["reasoning_content"] = reply.reasoning_content;
  if (reply.tool_calls.empty()) return message;
  Json calls = Json::array();
  for (const ParsedCall& call : reply.tool_calls) {
    const int number = static_cast<int>(calls.size());
    Json json = call_json(number, call_id(form, number));
    json["function"] = Json::object({{"name", call.name}, {"arguments", call.arguments}});
    calls.push_back(std::move(json));
  }
  message["tool_calls"] = std::move(calls);
  return message;
}

}  // namespace

ParsedReply answer_reply(const Tokenizer& tokenizer, const AnswerForm& form, const Answer& answer) {
  return parse_reply(tokenizer, answer.ids, form.reply, end_of(answer));
}

Json answer_json(const LoadedModel& model, const AnswerForm& form, const Answer& answer) {
  Json text;
  if (model.tokenizer) text = model.tokenizer->decode(answer.ids, {.skip_special = true});
  Json choice = Json::object({{"index", 0}});
  std::string finish = name_of(answer.finish);
  if (form.chat) {
    const ParsedReply reply = answer_reply(*model.tokenizer, form, answer);
    choice["message"] = message_json(form, reply);
    if (answer.stopped()) finish = reply.finish_reason;
  } else {
    choice["text"] = text;
  }
  choice["logprobs"] = nullptr;
  choice["finish_reason"] = finish;

  Json json = Json::object();
  json["id"] = unique_id(form);
  json["object"] = form.chat ? "chat.completion" : "text_completion";
  json["created"] = static_cast<int64_t>(std::time(nullptr));
  json["model"] = replace_invalid_utf8(model.folder);
  json["system_fingerprint"] = fingerprint(model);
  json["choices"] = Json::array({choice});
  json["usage"] = usage(answer, form.chat ? reasoning_tokens(*model.tokenizer, form, answer) : 0);
  json["timings"] = timings(answer);
  json["seed"] = form.seed;
  json["ids"] = Json(answer.ids);
  json["text"] = text;
  return json;
}

std::unique_ptr<AnswerOutput> make_answer_output(const LoadedModel& model, const AnswerForm& form) {
  switch (form.output) {
    case OutputFormat::kJson:
      return std::make_unique<JsonAnswer>(model, form);
    case OutputFormat::kJsonLines:
      return std::make_unique<JsonPieces>(model, form);
    case OutputFormat::kText:
      break;
  }
  if (!model.tokenizer) return std::make_unique<IdLine>();
  if (form.chat) return std::make_unique<TextReply>(*model.tokenizer, form);
  return std::make_unique<TextContinuation>(*model.tokenizer);
}

}  // namespace fathom
