// fathom run: one answer, or the continuation of a text or of token ids.
#include <iostream>

#include "app/answer_output.h"
#include "app/chat_session.h"
#include "app/commands.h"
#include "app/device_flags.h"
#include "app/foreign_flags.h"
#include "app/inputs.h"
#include "app/model_input.h"
#include "app/sampling_flags.h"
#include "app/terminal.h"
#include "app/thinking_flags.h"
#include "base/stop.h"
#include "text/fill_in_middle.h"

namespace fathom {
namespace {

struct RunFlags {
  ModelFlags model;
  std::string prompt, prompt_flag, file, ids_file, system, chat_template, suffix;
  bool no_template = false, ignore_eos = false, verbose = false;
  ThinkingFlags thinking;
  std::string output = "text";
  SamplingFlags sampling;
  DeviceFlags device;
};

// Text from a pipe. With a prompt besides, a pipe that stays silent is one that the caller merely
// left open.
std::string piped_text(bool prompt_given) {
  constexpr double kPatience = 3;  // seconds
  if (!input_is_piped()) return "";
  if (prompt_given && !input_arrives(kPatience)) {
    std::cerr << "fathom: nothing came on standard input; going on without it (< /dev/null says so "
                 "at once)\n";
    return "";
  }
  return without_final_newline(read_standard_input());
}

// What the flags and standard input ask, or nothing where neither says anything.
std::optional<std::string> prompt_text(const Command& command, const RunFlags& flags) {
  std::vector<std::string> parts;
  if (command.given("prompt")) parts.push_back(flags.prompt);
  if (command.given("--prompt")) parts.push_back(flags.prompt_flag);
  if (command.given("--file")) parts.push_back(without_final_newline(read_input(flags.file)));
  if (flags.file != "-") {
    std::string text = piped_text(!parts.empty());
    if (!text.empty()) parts.push_back(std::move(text));
  }
  if (parts.empty()) return std::nullopt;
  std::string text = parts.front();
  for (size_t i = 1; i < parts.size(); ++i) text += "\n\n" + parts[i];
  return text;
}

// Also says of what form the reply will be.
std::vector<int32_t> encode_prompt(const LoadedModel& model, const RunFlags& flags,
                                   const std::string& prompt, AnswerForm& form) {
  const Tokenizer& tokenizer = model.require_tokenizer();
  if (!form.chat) {
    // Something must come first, even where the text is empty.
    const bool bos = tokenizer.spec().add_bos_token || (prompt.empty() && tokenizer.control().bos);
    return encode_text(tokenizer, prompt, {.add_bos = bos});
  }
  std::vector<Message> messages;
  if (!flags.system.empty()) messages.push_back({"system", flags.system, ""});
  messages.push_back({"user", prompt, ""});
  const PromptFormat format = choose_prompt_format(model.folder, tokenizer, flags.chat_template);
  const Prompt asked =
      make_prompt(format, messages, chat_prompt_options(thinking_wish(flags.thinking)));
  form.reply = {asked.opens_thinking, format.tool_syntax()};
  return asked.ids;
}

ChatSettings chat_settings(const RunFlags& flags, const Sampling& sampling) {
  ChatSettings settings;
  settings.sampling = sampling;
  settings.max_tokens = flags.sampling.max_tokens;
  settings.context_tokens = flags.sampling.context;
  settings.system = flags.system;
  settings.chat_template = flags.chat_template;
  settings.think = thinking_wish(flags.thinking);
  settings.thinking = flags.thinking.style();
  return settings;
}

void print_speed(const Answer& answer) {
  const Json json = timings(answer);
  std::cerr << "prompt " << answer.prompt_tokens << " tokens, "
            << fixed(json.double_at("prompt_per_second"), 1) << " tokens/s; answer "
            << answer.ids.size() << " tokens, " << fixed(json.double_at("predicted_per_second"), 1)
            << " tokens/s\n";
}

int answer_prompt(const LoadedModel& model, Device& device, const RunFlags& flags,
                  const AnswerForm& form, AnswerRequest request) {
  const std::unique_ptr<AnswerOutput> output = make_answer_output(model, form);
  const Answer answer = generate_answer(model, device, request, [&](int32_t id) {
    output->token(id);
    return output_is_open();
  });
  output->finish(answer);
  if (form.chat && form.output == OutputFormat::kText && answer.finish == FinishReason::kLength) {
    const ParsedReply reply = answer_reply(model.require_tokenizer(), form, answer);
    if (reply.content.empty() && !reply.reasoning_content.empty())
      std::cerr << "fathom: the answer was cut off while the model was thinking; -n allows more "
                   "tokens\n";
  }
  if (flags.verbose) print_speed(answer);
  if (stop_requested()) return 128 + stop_signal();
  return output_is_open() ? 0 : kReaderLeft;
}

int run(const Command& command, const RunFlags& flags) {
  AnswerForm form;
  form.output = parse_output_format(flags.output);
  if (command.given("--ids") &&
      (command.given("prompt") || command.given("--prompt") || command.given("--file"))) {
    fail(ErrorCode::kUsage, "--ids is a prompt in itself; leave out the text or --ids");
  }
  Device device = open_device(flags.device);
  const LoadedModel model = load_with_progress(flags.model, device.memory());
  install_stop_handlers();

  AnswerRequest request;
  request.sampling = choose_sampling(command, flags.sampling, model.folder);
  request.max_tokens = flags.sampling.max_tokens;
  request.context_tokens = flags.sampling.context;
  request.ignore_eos = flags.ignore_eos;
  form.seed = request.sampling.seed;
  form.thinking = flags.thinking.style();
  if (command.given("--ids")) {
    request.prompt = read_ids(flags.ids_file);
    check_vocabulary(request.prompt, model.config().vocab_size, name_of_input(flags.ids_file));
    return answer_prompt(model, device, flags, form, std::move(request));
  }
  const bool fills = command.given("--suffix");
  form.chat = !flags.no_template && !fills && can_chat(model, flags.chat_template);
  const std::optional<std::string> prompt = prompt_text(command, flags);
  if (!prompt) {
    if (input_is_terminal() && form.chat && form.output == OutputFormat::kText) {
      return chat_session(model, device, chat_settings(flags, request.sampling));
    }
    fail(ErrorCode::kUsage,
         "run: there is no prompt; give one as an argument, with -f FILE or on standard input");
  }
  if (fills) {
    request.prompt = fill_in_middle_prompt(model.require_tokenizer(), *prompt, flags.suffix);
    request.extra_stop_ids = fill_in_middle_stops(model.require_tokenizer());
  } else {
    request.prompt = encode_prompt(model, flags, *prompt, form);
  }
  return answer_prompt(model, device, flags, form, std::move(request));
}

}  // namespace

void add_run_command(CommandLine& line) {
  Command& command = line.add("run", "one answer of a model");
  auto flags = std::make_shared<RunFlags>();
  add_model_flags(command, flags->model);
  command
      .positional("prompt", flags->prompt,
                  "what to answer; text from a pipe follows it after a blank line", false)
      .option("--prompt,-p,--prefix", flags->prompt_flag, "the prompt as a flag")
      .option("--suffix", flags->suffix,
              "what follows: the model fills in the middle between the prompt and this text")
      .option("--file,-f", flags->file, "file that holds the prompt; - is standard input")
      .option("--ids", flags->ids_file,
              "JSON file of token ids to continue: {\"ids\": [...]}; - is standard input")
      .option("--system,--system-prompt,-sys", flags->system,
              "what the model is told before the conversation")
      .flag("--no-template,--raw,--no-conversation,-no-cnv", flags->no_template,
            "continue the text as it is, without the chat template")
      .option("--chat-template,--chat-template-file,--template", flags->chat_template,
              "a file with Jinja text, or a built-in format, in place of the folder's own")
      .flag("--ignore-eos", flags->ignore_eos, "go on after the end token")
      .flag("--verbose,-v", flags->verbose, "tokens per second, on standard error");
  add_thinking_flags(command, flags->thinking);
  add_sampling_flags(command, flags->sampling);
  add_output_flag(command, flags->output);
  add_device_flags(command, flags->device, "--dtype");
  add_foreign_flags(command);
  command.settings_file();
  command.example("fathom run runs/demo/model \"12+34=?\"")
      .example("cat notes.txt | fathom run FOLDER \"Sum up:\"")
      .example("fathom run FOLDER --no-template \"ROMEO:\" -n 200 --temp 0.8 --seed 1")
      .example("fathom run FOLDER --ids ids.json --temp 0 -n 32 --ignore-eos --output json");
  command.on_run([&command, flags] { return run(command, *flags); });
}

}  // namespace fathom
