// fathom chat: a conversation with a model.
#include "app/chat_session.h"
#include "app/commands.h"
#include "app/device_flags.h"
#include "app/foreign_flags.h"
#include "app/inputs.h"
#include "app/model_input.h"
#include "app/sampling_flags.h"
#include "app/terminal.h"
#include "app/thinking_flags.h"

namespace fathom {
namespace {

struct ChatFlags {
  ModelFlags model;
  std::string system, chat_template, output = "text";
  bool alone = false;
  ThinkingFlags thinking;
  SamplingFlags sampling;
  DeviceFlags device;
};

int chat(const Command& command, const ChatFlags& flags) {
  const OutputFormat output = parse_output_format(flags.output);
  if (output != OutputFormat::kText && input_is_terminal()) {
    fail(ErrorCode::kUsage, "--output is '", flags.output,
         "' and the questions are typed; expected text. JSON is for questions from a pipe or file: "
         "fathom chat FOLDER --output json < questions.txt");
  }
  Device device = open_device(flags.device);
  const LoadedModel model = load_with_progress(flags.model, device.memory());
  ChatSettings settings;
  settings.sampling = choose_sampling(command, flags.sampling, model.folder);
  settings.max_tokens = flags.sampling.max_tokens;
  settings.context_tokens = flags.sampling.context;
  settings.system = flags.system;
  settings.output = output;
  settings.chat_template = flags.chat_template;
  settings.think = thinking_wish(flags.thinking);
  settings.remember = !flags.alone;
  settings.thinking = flags.thinking.style();
  return chat_session(model, device, settings);
}

}  // namespace

void add_chat_command(CommandLine& line) {
  Command& command = line.add("chat", "a conversation with a model");
  auto flags = std::make_shared<ChatFlags>();
  add_model_flags(command, flags->model);
  command
      .option("--system,--system-prompt,-sys", flags->system,
              "what the model is told before the conversation")
      .option("--chat-template,--chat-template-file,--template", flags->chat_template,
              "a file with Jinja text, or a built-in format, in place of the folder's own")
      .flag("--alone", flags->alone, "ask each question on its own, without those before it");
  add_thinking_flags(command, flags->thinking);
  add_sampling_flags(command, flags->sampling);
  add_output_flag(command, flags->output);
  add_device_flags(command, flags->device, "--dtype");
  add_foreign_flags(command);
  command.settings_file();
  command.example("fathom chat runs/demo/model --temp 0.7")
      .example("printf 'hello\\n' | fathom chat FOLDER --seed 1")
      .example("fathom chat FOLDER --output jsonl < questions.txt > answers.jsonl");
  command.on_run([&command, flags] { return chat(command, *flags); });
}

}  // namespace fathom
