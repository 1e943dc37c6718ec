#include "app/chat_session.h"

#include <csignal>
#include <functional>
#include <iostream>

#include "app/answer_output.h"
#include "app/chat_input.h"
#include "app/inputs.h"
#include "app/line_editor.h"
#include "app/terminal.h"
#include "base/stop.h"
#include "io/fields.h"

namespace fathom {
namespace {

constexpr const char* kHelp =
    "  /help                        this list\n"
    "  /clear                       forget the conversation\n"
    "  /system TEXT                 what the model is told before the conversation; forgets it\n"
    "  /regen                       another answer to the last question\n"
    "  /undo                        take the last question and answer back\n"
    "  /think on|off                begin answers with thinking\n"
    "  /set parameter NAME VALUE    temperature, top_k, top_p, min_p, seed, max_tokens\n"
    "  /show info|parameters|system the model, the sampling, the system text\n"
    "  /stats                       speed of the last answer, room in the context\n"
    "  /bye                         end (also Ctrl-D, or Ctrl-C with nothing typed)\n"
    "  Several lines: end each but the last with \\, or put them between lines of \"\"\".\n";

const std::vector<std::string> kCommands = {"help", "?",     "clear", "system", "regen",
                                            "undo", "think", "set",   "show",   "stats",
                                            "bye",  "quit",  "exit"};

class Session {
 public:
  Session(const LoadedModel& model, Device& device, const ChatSettings& settings)
      : model_(model),
        device_(device),
        settings_(settings),
        tokenizer_(model.require_tokenizer()),
        format_(choose_prompt_format(model.folder, tokenizer_, settings.chat_template)) {}

  int run();

 private:
  // False ends the session.
  bool take_message(const std::string& text);
  bool obey(const ChatCommand& command);
  void ask(const std::string& question);
  void answer();
  void regenerate();
  void undo();
  void set_parameter(const std::string& text);
  void set_number(const std::string& name, const std::string& value);
  void show(const std::string& what) const;
  void show_info() const;
  void show_parameters() const;
  void show_stats() const;
  void set_thinking(const std::string& value);
  void greet() const;
  LineEvent read_line(std::string& line);
  bool interrupted(LineEvent event);

  std::vector<Message> conversation() const;
  int64_t context() const;

  const LoadedModel& model_;
  Device& device_;
  ChatSettings settings_;
  const Tokenizer& tokenizer_;
  LineReader reader_;
  std::unique_ptr<LineEditor> editor_;  // where lines can be edited
  PromptFormat format_;
  MessageLines lines_;
  std::vector<Message> history_;  // user and assistant in turn
  Json last_timings_;
  int64_t last_tokens_ = 0;  // of the conversation after the last answer
  int64_t interrupts_ = 0;   // in a row, at a prompt without an editor
};

void say(const std::string& text) { std::cerr << visible(text) << "\n"; }

// Where answers are JSON, each question has one: the error object of the API for those that could
// not be asked.
void print_refusal(const std::string& message) {
  const Json error = Json::object({{"message", message}, {"type", "invalid_request_error"}});
  print(Json::object({{"error", error}}).dump() + "\n");
}

void Session::greet() const {
  if (!input_is_terminal()) return;
  say(concat("Talking to ", model_.folder, ". /help lists commands, Ctrl-D ends."));
  if (settings_.samples.empty()) return;
  say("Try:");
  for (const std::string& sample : settings_.samples) say("  " + sample);
}

LineEvent Session::read_line(std::string& line) {
  const char* prompt = lines_.open() ? "... " : ">>> ";
  return editor_ ? editor_->read(prompt, line) : reader_.read(prompt, line);
}

// Whether a signal at the prompt ends the conversation: Ctrl-C where nothing was typed, or, where
// that is not known, twice in a row; any other.
bool Session::interrupted(LineEvent event) {
  if (stop_signal() != SIGINT) return true;
  if (event == LineEvent::kLeft && !lines_.open()) return true;
  lines_.clear();
  if (!editor_ && ++interrupts_ > 1) return true;
  clear_stop();
  if (!editor_) say("\nCtrl-D or /bye ends; so does Ctrl-C once more.");
  return false;
}

int Session::run() {
  greet();
  if (lines_can_be_edited()) editor_ = std::make_unique<LineEditor>();
  for (;;) {
    std::string line;
    const LineEvent event = read_line(line);
    if (event == LineEvent::kInterrupted || event == LineEvent::kLeft) {
      if (interrupted(event)) return 128 + stop_signal();
      continue;
    }
    interrupts_ = 0;
    const bool ended = event == LineEvent::kEnd;
    const std::optional<std::string> message = ended ? lines_.take_rest() : lines_.add(line);
    if (message && !take_message(*message)) return 0;
    if (stop_requested()) return 128 + stop_signal();
    if (!output_is_open()) return kReaderLeft;
    if (ended) {
      if (input_is_terminal()) say("");
      return 0;
    }
  }
}

bool Session::take_message(const std::string& text) {
  if (text.find_first_not_of(" \t\n") == std::string::npos) return true;
  try {
    if (const std::optional<ChatCommand> command = parse_chat_command(text)) return obey(*command);
    ask(text);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUsage) throw;
    say(error.what());
  }
  return true;
}

bool Session::obey(const ChatCommand& command) {
  const std::string& name = command.name;
  if (name == "bye" || name == "quit" || name == "exit") return false;
  if (name == "help" || name == "?") {
    std::cerr << kHelp;
  } else if (name == "clear") {
    history_.clear();
    say("The conversation begins anew.");
  } else if (name == "system") {
    encode_text(tokenizer_, command.rest);  // names what the model cannot read
    settings_.system = command.rest;
    history_.clear();
    say(settings_.system.empty() ? "No system text."
                                 : "System text set; the conversation begins anew.");
  } else if (name == "regen") {
    regenerate();
  } else if (name == "undo") {
    undo();
  } else if (name == "think") {
    set_thinking(command.rest);
  } else if (name == "set") {
    set_parameter(command.rest);
  } else if (name == "show") {
    show(command.rest);
  } else if (name == "stats") {
    show_stats();
  } else {
    say(concat("unknown command /", name, did_you_mean(name, kCommands), "; /help lists them"));
  }
  return true;
}

std::vector<Message> Session::conversation() const {
  std::vector<Message> messages;
  if (!settings_.system.empty()) messages.push_back({"system", settings_.system, ""});
  const size_t first = settings_.remember || history_.empty() ? 0 : history_.size() - 1;
  messages.insert(messages.end(), history_.begin() + static_cast<std::ptrdiff_t>(first),
                  history_.end());
  return messages;
}

int64_t Session::context() const {
  return settings_.context_tokens > 0 ? settings_.context_tokens
                                      : model_.config().max_position_embeddings;
}

// A question that cannot be asked leaves the conversation as it was.
void Session::ask(const std::string& question) {
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

// Answers the last message of the history, which is the user's.
void Session::answer() {
  AnswerRequest request;
  const Prompt asked = make_prompt(format_, conversation(), chat_prompt_options(settings_.think));
  request.prompt = asked.ids;
  request.sampling = settings_.sampling;
  request.context_tokens = settings_.context_tokens;
  const int64_t room = context() - static_cast<int64_t>(request.prompt.size());
  if (room < 1) {
    fail(ErrorCode::kUsage, "The conversation would be ", request.prompt.size(),
         " tokens long and the context holds ", context(),
         ": /clear begins anew, /undo takes the last question back.");
  }
  request.max_tokens = settings_.max_tokens < 0 ? room : std::min(room, settings_.max_tokens);

  const AnswerForm form{settings_.output,
                        true,
                        {asked.opens_thinking, format_.tool_syntax()},
                        settings_.thinking,
                        settings_.sampling.seed};
  const std::unique_ptr<AnswerOutput> output = make_answer_output(model_, form);
  const Answer result = generate_answer(model_, device_, request, [&](int32_t id) {
    output->token(id);
    return output_is_open();
  });
  output->finish(result);
  if (result.finish == FinishReason::kLength && settings_.output == OutputFormat::kText)
    say(concat("(cut off after ", result.ids.size(), " tokens)"));
  if (stop_signal() == SIGINT) {
    clear_stop();
    say("(stopped)");
  }
  // Thinking is not carried into the next question, as DeepSeek-R1 is used.
  history_.push_back({"assistant", answer_reply(tokenizer_, form, result).content, ""});
  last_timings_ = timings(result);
  last_tokens_ = result.prompt_tokens + static_cast<int64_t>(result.ids.size());
  ++settings_.sampling.seed;
}

void Session::regenerate() {
  if (history_.empty()) return say("There is no question yet.");
  const Message last = history_.back();
  history_.pop_back();
  try {
    answer();
  } catch (const Error&) {
    history_.push_back(last);
    throw;
  }
}

void Session::undo() {
  if (history_.empty()) return say("There is nothing to take back.");
  history_.resize(history_.size() - 2);
  say(concat("Taken back; ", history_.size() / 2, " questions remain."));
}

void Session::set_thinking(const std::string& value) {
  if (value != "on" && value != "off" && !value.empty()) return say("/think on, or /think off");
  settings_.think = value.empty() ? !settings_.think.value_or(false) : value == "on";
  if (*settings_.think) return say("Answers begin with thinking.");
  say(format_.is_own() ? "The model decides whether it thinks."
                       : "Answers begin without thinking.");
}

void Session::set_parameter(const std::string& text) {
  const std::string word = "parameter ";
  const std::string pair = text.starts_with(word) ? text.substr(word.size()) : "";
  const size_t space = pair.find(' ');
  if (space == std::string::npos)
    return say(
        "/set parameter NAME VALUE; names: temperature, top_k, top_p, min_p, seed, max_tokens");
  set_number(pair.substr(0, space), pair.substr(space + 1));
}

void Session::set_number(const std::string& name, const std::string& value) {
  Sampling sampling = settings_.sampling;
  int64_t max_tokens = settings_.max_tokens;
  if (name == "temperature" || name == "temp") {
    field_from_text(value, name, sampling.temperature);
  } else if (name == "top_k") {
    field_from_text(value, name, sampling.top_k);
  } else if (name == "top_p") {
    field_from_text(value, name, sampling.top_p);
  } else if (name == "min_p") {
    field_from_text(value, name, sampling.min_p);
  } else if (name == "seed") {
    field_from_text(value, name, sampling.seed);
  } else if (name == "max_tokens" || name == "num_predict") {
    field_from_text(value, name, max_tokens);
  } else {
    const std::vector<std::string> names = {"temperature", "top_k", "top_p",
                                            "min_p",       "seed",  "max_tokens"};
    fail(ErrorCode::kUsage, "unknown parameter '", name, "'", did_you_mean(name, names));
  }
  check_sampling(sampling);
  if (max_tokens == 0 || max_tokens < -1) {
    fail(ErrorCode::kUsage, "max_tokens is ", max_tokens,
         "; expected 1 or more, or -1 for what the context leaves");
  }
  settings_.sampling = sampling;
  settings_.max_tokens = max_tokens;
  show_parameters();
}

void Session::show(const std::string& what) const {
  if (what == "parameters") return show_parameters();
  if (what == "system") return say(settings_.system.empty() ? "No system text." : settings_.system);
  if (what == "info" || what.empty()) return show_info();
  say("/show info, /show parameters or /show system");
}

void Session::show_info() const {
  const ParameterCount count = count_parameters(model_.config());
  say(concat("  folder      ", model_.folder, "\n  family      ", model_.config().model_type,
             "\n  parameters  ", human_count(static_cast<double>(count.total)), ", ",
             human_count(static_cast<double>(count.active)), " active\n  context     ", context(),
             " tokens\n  tokenizer   ", tokenizer_.vocab_size(), " tokens"));
}

void Session::show_parameters() const {
  const Sampling& s = settings_.sampling;
  say(concat("  temperature ", s.temperature, "  top_k ", s.top_k, "  top_p ", s.top_p, "  min_p ",
             s.min_p, "  seed ", s.seed, "  max_tokens ", settings_.max_tokens));
}

void Session::show_stats() const {
  if (!last_timings_.is_object()) return say("No answer yet.");
  const auto speed = [&](const char* key) { return fixed(last_timings_.double_at(key), 1); };
  say(concat("  prompt   ", last_timings_.int_at("prompt_n"), " tokens, ",
             speed("prompt_per_second"), " tokens/s\n  answer   ",
             last_timings_.int_at("predicted_n"), " tokens, ", speed("predicted_per_second"),
             " tokens/s\n  context  ", last_tokens_, " of ", context(), " tokens"));
}

}  // namespace

bool can_chat(const LoadedModel& model, const std::string& chat_template) {
  if (!model.tokenizer) return false;
  return !chat_template.empty() || has_prompt_format(model.folder, *model.tokenizer);
}

int chat_session(const LoadedModel& model, Device& device, const ChatSettings& settings) {
  model.require_tokenizer();
  if (!can_chat(model, settings.chat_template)) {
    fail(ErrorCode::kModel, "chat: ", model.folder,
         " has no chat template (tokenizer_config.json); it continues texts: fathom run FOLDER "
         "--no-template \"…\"");
  }
  install_stop_handlers();
  return Session(model, device, settings).run();
}

}  // namespace fathom
