#include "app/chat_session.h"

#include <csignal>
#include <filesystem>
#include <iostream>

#include "app/answer_output.h"
#include "app/chat_input.h"
#include "app/conversation.h"
#include "app/history_file.h"
#include "app/inputs.h"
#include "app/line_editor.h"
#include "app/terminal.h"
#include "app/text_editor.h"
#include "base/stop.h"
#include "io/fields.h"
#include "io/files.h"

namespace fathom {
namespace {

constexpr const char* kHelp =
    "  /help                        this list\n"
    "  /clear                       forget the conversation\n"
    "  /system TEXT                 what the model is told before the conversation; forgets it\n"
    "  /regen                       another answer to the last question\n"
    "  /edit                        the last question in $EDITOR, to ask it anew\n"
    "  /undo                        take the last question and answer back\n"
    "  /think on|off                begin answers with thinking\n"
    "  /set parameter NAME VALUE    temperature, top_k, top_p, min_p, seed, max_tokens\n"
    "  /set think|nothink           the same as /think on, /think off\n"
    "  /set verbose|quiet           speed after each answer, or not\n"
    "  /show info|parameters|system|template|license\n"
    "  /stats                       speed of the last answer\n"
    "  /ctx                         room in the context\n"
    "  /read FILE                   ask what stands in a file\n"
    "  /save FILE                   the conversation as JSON messages\n"
    "  /load FOLDER                 another model; begins anew\n"
    "  /copy                        the last answer into the terminal's clipboard\n"
    "  /bye                         end (also Ctrl-D, or Ctrl-C twice with nothing typed)\n"
    "  Several lines: paste them, end each but the last with \\, or put them between lines of "
    "\"\"\".\n"
    "  Ctrl-G takes the line into $EDITOR; Tab completes; Ctrl-R searches what was typed.\n";

const std::vector<std::string> kCommands = {
    "help",  "?",   "clear", "system", "regen", "edit",  "undo", "think", "set",  "show",
    "stats", "ctx", "read",  "save",   "load",  "image", "copy", "bye",   "quit", "exit"};

class Session {
 public:
  Session(const LoadedModel& model, Device& device, const ChatSettings& settings)
      : talk_(model, device, settings) {}

  int run();

 private:
  // False ends the session.
  bool take_message(const std::string& text);
  bool obey(const ChatCommand& command);
  bool obey_about_files(const ChatCommand& command);
  void ask(const std::string& question);
  void regenerate();
  void edit_question();
  void undo();
  void set(const std::string& text);
  void set_number(const std::string& name, const std::string& value);
  void show(const std::string& what) const;
  void show_info() const;
  void show_parameters() const;
  void show_license() const;
  void show_stats() const;
  void show_context() const;
  void set_thinking(const std::string& value);
  void set_system(const std::string& text);
  void save(const std::string& path) const;
  void copy() const;
  void greet() const;
  LineEvent read_line(std::string& line);
  bool interrupted(LineEvent event);

  Conversation talk_;
  LineReader reader_;
  std::unique_ptr<LineEditor> editor_;  // where lines can be edited
  MessageLines lines_;
  bool verbose_ = false;
  int64_t interrupts_ = 0;  // in a row, where nothing was typed or that is not known
};

void say(const std::string& text) { std::cerr << visible(text) << "\n"; }

// Names in the folder of a path that is being typed, folders with a slash.
std::vector<std::string> paths_beginning(const std::string& typed) {
  const size_t slash = typed.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : typed.substr(0, slash + 1);
  std::vector<std::string> paths;
  std::error_code ignored;
  for (const auto& entry :
       std::filesystem::directory_iterator(folder.empty() ? "." : folder, ignored)) {
    const std::string path = folder + entry.path().filename().string();
    if (path.starts_with(typed)) paths.push_back(path + (entry.is_directory(ignored) ? "/" : ""));
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

// A file or folder that was named at the prompt: what is wrong with it ends nothing.
template <class Call>
auto as_typed(Call&& call) {
  try {
    return call();
  } catch (const Error& error) {
    throw Error(ErrorCode::kUsage, error.what());
  }
}

// A command's name, or the path behind one that takes a file.
std::vector<std::string> completions(const std::string& before) {
  std::vector<std::string> found;
  if (!before.starts_with('/')) return found;
  const size_t space = before.find(' ');
  if (space == std::string::npos) {
    for (const std::string& name : kCommands)
      if (("/" + name).starts_with(before)) found.push_back("/" + name + " ");
    return found;
  }
  const std::string command = before.substr(0, space + 1);
  if (command != "/read " && command != "/save " && command != "/load ") return found;
  for (const std::string& path : paths_beginning(before.substr(space + 1)))
    found.push_back(command + path);
  return found;
}

std::string in_base64(const std::string& bytes) {
  constexpr const char* kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    uint32_t bits = 0;
    for (size_t i = 0; i < 3; ++i)
      bits = bits << 8 | (at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0u);
    for (size_t i = 0; i < 4; ++i)
      out += at + i <= bytes.size() ? kDigits[bits >> (18 - 6 * i) & 63] : '=';
  }
  return out;
}

void Session::greet() const {
  if (!input_is_terminal()) return;
  say(concat("Talking to ", talk_.model().folder, ". /help lists commands, Ctrl-D ends."));
  const std::vector<std::string>& samples = talk_.settings().samples;
  if (samples.empty()) return;
  say("Try:");
  for (const std::string& sample : samples) say("  " + sample);
}

LineEvent Session::read_line(std::string& line) {
  const char* prompt = lines_.open() ? "... " : ">>> ";
  return editor_ ? editor_->read(prompt, line) : reader_.read(prompt, line);
}

// Whether a signal at the prompt ends the conversation: Ctrl-C twice in a row where nothing was
// typed, or where that is not known; any other signal.
bool Session::interrupted(LineEvent event) {
  if (stop_signal() != SIGINT) return true;
  const bool typed = event == LineEvent::kInterrupted && editor_;
  const bool dropped = typed || lines_.open();
  lines_.clear();
  interrupts_ = dropped ? 0 : interrupts_ + 1;
  if (interrupts_ > 1) return true;
  clear_stop();
  if (!dropped) say(concat(editor_ ? "" : "\n", "Ctrl-D or /bye ends; so does Ctrl-C once more."));
  return false;
}

int Session::run() {
  greet();
  if (lines_can_be_edited())
    editor_ =
        std::make_unique<LineEditor>(LineEditorSettings{default_history_path(), &completions});
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

// What was typed may be at fault; the conversation goes on.
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
    talk_.clear();
    say("The conversation begins anew.");
  } else if (name == "system") {
    set_system(command.rest);
  } else if (name == "regen") {
    regenerate();
  } else if (name == "edit") {
    edit_question();
  } else if (name == "undo") {
    undo();
  } else if (name == "think") {
    set_thinking(command.rest);
  } else if (name == "set") {
    set(command.rest);
  } else if (name == "show") {
    show(command.rest);
  } else if (name == "stats") {
    show_stats();
  } else if (name == "ctx") {
    show_context();
  } else if (name == "copy") {
    copy();
  } else if (!obey_about_files(command)) {
    say(concat("unknown command /", name, did_you_mean(name, kCommands), "; /help lists them"));
  }
  return true;
}

// False where it is no such command.
bool Session::obey_about_files(const ChatCommand& command) {
  const std::string& name = command.name;
  if (name != "read" && name != "save" && name != "load" && name != "image") return false;
  if (name == "image") {
    say("This model reads text alone.");
  } else if (command.rest.empty()) {
    say(concat("/", name, name == "load" ? " FOLDER" : " FILE"));
  } else if (name == "read") {
    ask(as_typed([&] { return without_final_newline(read_file(command.rest)); }));
  } else if (name == "save") {
    save(command.rest);
  } else {
    as_typed([&] { talk_.load(command.rest); });
    say(concat("Talking to ", talk_.model().folder, "; the conversation begins anew."));
  }
  return true;
}

void Session::ask(const std::string& question) {
  talk_.ask(question);
  if (verbose_) show_stats();
}

void Session::regenerate() {
  if (!talk_.regenerate()) return say("There is no question yet.");
  if (verbose_) show_stats();
}

void Session::edit_question() {
  const std::vector<Message>& history = talk_.history();
  if (history.empty()) return say("There is no question yet.");
  const std::string before = history[history.size() - 2].content;
  const std::optional<std::string> question = edited_text(before);
  if (!question || question->find_first_not_of(" \t\n") == std::string::npos)
    return say("The question stays as it was.");
  talk_.undo();
  ask(*question);
}

void Session::undo() {
  if (!talk_.undo()) return say("There is nothing to take back.");
  say(concat("Taken back; ", talk_.history().size() / 2, " questions remain."));
}

void Session::set_system(const std::string& text) {
  encode_text(talk_.tokenizer(), text);  // names what the model cannot read
  talk_.settings().system = text;
  talk_.clear();
  say(text.empty() ? "No system text." : "System text set; the conversation begins anew.");
}

void Session::set_thinking(const std::string& value) {
  if (value != "on" && value != "off" && !value.empty()) return say("/think on, or /think off");
  std::optional<bool>& think = talk_.settings().think;
  think = value.empty() ? !think.value_or(false) : value == "on";
  if (*think) return say("Answers begin with thinking.");
  say(talk_.format().is_own() ? "The model decides whether it thinks."
                              : "Answers begin without thinking.");
}

void Session::set(const std::string& text) {
  if (text == "think" || text == "nothink") return set_thinking(text == "think" ? "on" : "off");
  if (text == "verbose" || text == "quiet") {
    verbose_ = text == "verbose";
    return say(verbose_ ? "Speed is shown after each answer." : "Speed is not shown.");
  }
  const std::string word = "parameter ";
  const std::string pair = text.starts_with(word) ? text.substr(word.size()) : "";
  const size_t space = pair.find(' ');
  if (space == std::string::npos) {
    return say(
        "/set parameter NAME VALUE; names: temperature, top_k, top_p, min_p, seed, max_tokens. "
        "Also /set think, nothink, verbose or quiet");
  }
  set_number(pair.substr(0, space), pair.substr(space + 1));
}

void Session::set_number(const std::string& name, const std::string& value) {
  Sampling sampling = talk_.settings().sampling;
  int64_t max_tokens = talk_.settings().max_tokens;
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
  talk_.settings().sampling = sampling;
  talk_.settings().max_tokens = max_tokens;
  show_parameters();
}

void Session::show(const std::string& what) const {
  const std::string& system = talk_.settings().system;
  if (what == "parameters") return show_parameters();
  if (what == "system") return say(system.empty() ? "No system text." : system);
  if (what == "template")
    return say(concat("(", talk_.format().name(), ")\n", talk_.format().source()));
  if (what == "license") return show_license();
  if (what == "info" || what.empty()) return show_info();
  say("/show info, parameters, system, template or license");
}

void Session::show_info() const {
  const LoadedModel& model = talk_.model();
  const ParameterCount count = count_parameters(model.config());
  say(concat("  folder      ", model.folder, "\n  family      ", model.config().model_type,
             "\n  parameters  ", human_count(static_cast<double>(count.total)), ", ",
             human_count(static_cast<double>(count.active)), " active\n  context     ",
             talk_.context_tokens(), " tokens\n  tokenizer   ", talk_.tokenizer().vocab_size(),
             " tokens\n  template    ", talk_.format().name()));
}

void Session::show_license() const {
  for (const char* name : {"LICENSE", "LICENSE-MODEL", "LICENSE.txt"}) {
    const std::string path = join_path(talk_.model().folder, name);
    if (exists(path)) return say(read_file(path));
  }
  say(concat(talk_.model().folder, " holds no LICENSE."));
}

void Session::show_parameters() const {
  const Sampling& s = talk_.settings().sampling;
  say(concat("  temperature ", s.temperature, "  top_k ", s.top_k, "  top_p ", s.top_p, "  min_p ",
             s.min_p, "  seed ", s.seed, "  max_tokens ", talk_.settings().max_tokens));
}

void Session::show_context() const {
  say(concat("  context  ", talk_.used_tokens(), " of ", talk_.context_tokens(), " tokens"));
}

void Session::show_stats() const {
  const Json& timings = talk_.last_timings();
  if (!timings.is_object()) return say("No answer yet.");
  const auto speed = [&](const char* key) { return fixed(timings.double_at(key), 1); };
  say(concat("  prompt   ", timings.int_at("prompt_n"), " tokens, ", speed("prompt_per_second"),
             " tokens/s\n  answer   ", timings.int_at("predicted_n"), " tokens, ",
             speed("predicted_per_second"), " tokens/s"));
  show_context();
}

void Session::save(const std::string& path) const {
  as_typed([&] { write_file_atomically(path, talk_.to_json().dump(2) + "\n"); });
  say(concat("Saved ", path, "."));
}

// By the terminal itself (OSC 52), which also works from another machine.
void Session::copy() const {
  const std::vector<Message>& history = talk_.history();
  if (history.empty()) return say("There is no answer yet.");
  if (!errors_can_be_redrawn()) return say("This is no terminal with a clipboard.");
  std::cerr << "\033]52;c;" << in_base64(history.back().content) << "\a";
  say("Copied, if the terminal allows it.");
}

}  // namespace

bool can_chat(const LoadedModel& model, const std::string& chat_template) {
  if (!model.tokenizer) return false;
  return !chat_template.empty() || has_prompt_format(model.folder, *model.tokenizer);
}

int chat_session(const LoadedModel& model, Device& device, const ChatSettings& settings) {
  Session session(model, device, settings);
  install_stop_handlers();
  return session.run();
}

}  // namespace fathom
