#include "app/conversation.h"

#include <algorithm>
#include <csignal>
#include <iostream>

#include "app/inputs.h"
#include "app/model_input.h"
#include "app/terminal.h"
#include "base/stop.h"

namespace fathom {
namespace {

void say(const std::string& text) { std::cerr << visible(text) << "\n"; }

// Where answers are JSON, each question has one: the error object of the API for those that could
// not be asked.
void print_refusal(const std::string& message) {
  const Json error = Json::object({{"message", message}, {"type", "invalid_request_error"}});
  print(Json::object({{"error", error}}).dump() + "\n");
}

std::unique_ptr<PromptFormat> format_for(const LoadedModel& model, const std::string& choice) {
  const Tokenizer& tokenizer = model.require_tokenizer();
  if (!can_chat(model, choice)) {
    fail(ErrorCode::kModel, "chat: ", model.folder,
         " has no chat template (tokenizer_config.json); it continues texts: fathom run FOLDER "
         "--no-template \"…\"");
  }
  return std::make_unique<PromptFormat>(choose_prompt_format(model.folder, tokenizer, choice));
}

// The ids behind the thinking that decode to `content`, or none where they do not: a call was cut
// out, say.
std::vector<int32_t> ids_of_content(const Tokenizer& tokenizer, const Answer& answer,
                                    bool opened_think, const std::string& content) {
  std::vector<int32_t> ids = answer.ids;
  if (answer.stopped() && !ids.empty()) ids.pop_back();
  const ControlIds& control = tokenizer.control();
  const bool thought = opened_think || (!ids.empty() && ids.front() == control.think);
  if (thought && control.end_think) {
    const auto end = std::find(ids.begin(), ids.end(), *control.end_think);
    if (end == ids.end()) return {};
    ids.erase(ids.begin(), end + 1);
    // Line ends behind the thinking belong to its form.
    while (!ids.empty() &&
           tokenizer.token_text(ids.front()).find_first_not_of('\n') == std::string::npos)
      ids.erase(ids.begin());
  }
  if (tokenizer.decode(ids) != content) ids.clear();
  return ids;
}

}  // namespace

Conversation::Conversation(const LoadedModel& model, Device& device, const ChatSettings& settings)
    : model_(&model),
      device_(device),
      settings_(settings),
      format_(format_for(model, settings.chat_template)) {}

void Conversation::load(const std::string& folder) {
  auto model = std::make_unique<LoadedModel>(
      load_with_progress({.folder = folder, .progress = {}}, device_.memory()));
  auto format = format_for(*model, settings_.chat_template);
  clear();
  format_ = std::move(format);
  own_model_ = std::move(model);
  model_ = own_model_.get();
  settings_.context_tokens =
      std::min(settings_.context_tokens, model_->config().max_position_embeddings);
}

int64_t Conversation::context_tokens() const {
  return settings_.context_tokens > 0 ? settings_.context_tokens
                                      : model_->config().max_position_embeddings;
}

void Conversation::clear() {
  history_.clear();
  used_tokens_ = 0;
}

std::vector<Message> Conversation::messages() const {
  std::vector<Message> messages;
  if (!settings_.system.empty()) messages.push_back({"system", settings_.system, ""});
  const size_t first = settings_.remember || history_.empty() ? 0 : history_.size() - 1;
  messages.insert(messages.end(), history_.begin() + static_cast<std::ptrdiff_t>(first),
                  history_.end());
  return messages;
}

void Conversation::ask(const std::string& question) {
  history_.push_back({"user", question, ""});
  try {
    answer();
  } catch (const Error& error) {
    history_.pop_back();
    if (settings_.output != OutputFormat::kText && error.code() == ErrorCode::kUsage)
      print_refusal(error.what());
    throw;
  }
}

// Thinking is not carried into the next question, as DeepSeek-R1 is used.
Message Conversation::remembered(const Answer& answer, const AnswerForm& form) const {
  Message message;
  message.role = "assistant";
  message.content = answer_reply(tokenizer(), form, answer).content;
  message.content_ids =
      ids_of_content(tokenizer(), answer, form.reply.opened_think, message.content);
  return message;
}

// Answers the last message of the history, which is the user's.
void Conversation::answer() {
  AnswerRequest request;
  const Prompt asked = make_prompt(*format_, messages(), chat_prompt_options(settings_.think));
  request.prompt = asked.ids;
  request.sampling = settings_.sampling;
  request.context_tokens = settings_.context_tokens;
  const int64_t room = context_tokens() - static_cast<int64_t>(request.prompt.size());
  if (room < 1) {
    fail(ErrorCode::kUsage, "The conversation would be ", request.prompt.size(),
         " tokens long and the context holds ", context_tokens(),
         ": /clear begins anew, /undo takes the last question back.");
  }
  request.max_tokens = settings_.max_tokens < 0 ? room : std::min(room, settings_.max_tokens);

  const AnswerForm form{settings_.output,
                        true,
                        {asked.opens_thinking, format_->tool_syntax()},
                        settings_.thinking,
                        settings_.sampling.seed};
  const std::unique_ptr<AnswerOutput> output = make_answer_output(*model_, form);
  const Answer result = generate_answer(*model_, device_, request, [&](int32_t id) {
    output->token(id);
    return output_is_open();
  });
  output->finish(result);
  if (result.finish == FinishReason::kLength && settings_.output == OutputFormat::kText)
    say(concat("(cut off after ", result.ids.size(), " tokens)"));
  if (stop_signal() == SIGINT) {
    if (input_is_terminal()) clear_stop();  // questions from a pipe end with it
    say("(stopped)");
  }
  history_.push_back(remembered(result, form));
  last_timings_ = timings(result);
  used_tokens_ = result.prompt_tokens + static_cast<int64_t>(result.ids.size());
  ++settings_.sampling.seed;
}

bool Conversation::regenerate() {
  if (history_.empty()) return false;
  const Message last = history_.back();
  history_.pop_back();
  try {
    answer();
  } catch (const Error&) {
    history_.push_back(last);
    throw;
  }
  return true;
}

bool Conversation::undo() {
  if (history_.empty()) return false;
  history_.resize(history_.size() - 2);
  return true;
}

Json Conversation::to_json() const {
  Json list = Json::array();
  const auto add = [&](const std::string& role, const std::string& content) {
    list.push_back(Json::object({{"role", role}, {"content", content}}));
  };
  if (!settings_.system.empty()) add("system", settings_.system);
  for (const Message& message : history_) add(message.role, message.content);
  return Json::object({{"messages", std::move(list)}});
}

}  // namespace fathom
