// fathom template: a conversation as the model sees it.
#include <ctime>
#include <iostream>

#include "app/commands.h"
#include "app/inputs.h"
#include "app/output_format.h"
#include "app/terminal.h"
#include "checkpoint/model_folder.h"
#include "io/files.h"

namespace fathom {
namespace {

struct TemplateFlags {
  std::string folder, messages = "-", tools, system, chat_template;
  bool think = false, thinking = false, no_thinking = false;
  bool no_template = false, closed = false, describe_tools = false;
  std::string output = "text";
};

std::string ids_text(const std::vector<int32_t>& ids) {
  std::string text;
  for (const int32_t id : ids) text += concat(text.empty() ? "" : " ", id);
  return text;
}

std::vector<Message> conversation(const Command& command, const TemplateFlags& flags) {
  std::vector<Message> messages = read_messages(flags.messages);
  if (!command.given("--system")) return messages;
  Message system;
  system.role = "system";
  system.content = flags.system;
  messages.insert(messages.begin(), system);
  return messages;
}

PromptOptions prompt_options(const TemplateFlags& flags) {
  if (flags.no_thinking && (flags.thinking || flags.think)) {
    fail(ErrorCode::kUsage, "--no-thinking contradicts --thinking and --think; give one");
  }
  PromptOptions options;
  options.add_generation_prompt = !flags.closed;
  if (flags.thinking || flags.think) options.thinking = true;
  if (flags.no_thinking) options.thinking = false;
  options.force_thinking = flags.think;
  options.describe_tools = flags.describe_tools;
  if (!flags.tools.empty()) options.tools = read_tools(flags.tools);
  options.now = static_cast<int64_t>(std::time(nullptr));
  return options;
}

// The texts alone, one after the other, as a model without a template continues them.
Prompt plain_prompt(const Tokenizer& tokenizer, const std::vector<Message>& messages) {
  Prompt prompt;
  for (size_t i = 0; i < messages.size(); ++i) {
    prompt.text += (i > 0 ? "\n\n" : "") + messages[i].content;
  }
  prompt.ids = encode_text(tokenizer, prompt.text, {.add_bos = tokenizer.spec().add_bos_token});
  return prompt;
}

// The folder with the files of the tokenizer: a run's folder holds it in a checkpoint.
std::string tokenizer_folder(const std::string& folder) {
  return exists(join_path(folder, "tokenizer.json")) ? folder : resolve_model_folder(folder);
}

int render(const Command& command, const TemplateFlags& flags) {
  const OutputFormat output = parse_output_format(flags.output);
  const Tokenizer tokenizer = load_tokenizer(flags.folder);
  const std::vector<Message> messages = conversation(command, flags);
  const PromptOptions options = prompt_options(flags);
  Prompt prompt;
  if (flags.no_template) {
    prompt = plain_prompt(tokenizer, messages);
  } else {
    const PromptFormat format =
        choose_prompt_format(tokenizer_folder(flags.folder), tokenizer, flags.chat_template);
    if (!options.tools.is_null() && !format.is_own() && !format.shows_tools() &&
        !flags.describe_tools) {
      std::cerr << "fathom: the template (" << format.name()
                << ") says nothing of tools, so the model does not see them; --describe-tools puts "
                   "them into the system text\n";
    }
    prompt = make_prompt(format, messages, options);
  }
  if (output == OutputFormat::kText) {
    print(concat(prompt.text, "\n", ids_text(prompt.ids), "\n"));
  } else {
    print(Json::object({{"text", prompt.text}, {"ids", Json(prompt.ids)}}).dump() + "\n");
  }
  return 0;
}

}  // namespace

void add_template_command(CommandLine& line) {
  Command& command =
      line.add("template", "a conversation as the model sees it: text and token ids");
  auto flags = std::make_shared<TemplateFlags>();
  command.model_folder(flags->folder, "folder with tokenizer.json")
      .option("--messages", flags->messages,
              "JSON list of {\"role\", \"content\"}, as in the chat API; - is standard input")
      .option("--tools", flags->tools, "JSON list of tools, as in the chat API")
      .option("--system,--system-prompt,-sys", flags->system, "a system message put in front")
      .option("--chat-template,--chat-template-file,--template", flags->chat_template,
              "a file with Jinja text, or a built-in format (llm, coder, v2.5, v3, r1, r1-0528, "
              "r1-distill, v3.1, fathom), in place of the folder's own")
      .flag("--thinking", flags->thinking, "tell the template to think")
      .flag("--no-thinking,--no-think,--nothink", flags->no_thinking,
            "tell the template not to think")
      .flag("--think", flags->think, "open the answer with <think>, whatever the template does")
      .flag("--describe-tools", flags->describe_tools,
            "tools in the system text where the template says nothing of them")
      .flag("--no-template,--raw", flags->no_template, "the texts alone, without a template")
      .flag("--no-generation-prompt", flags->closed, "do not open an answer at the end");
  add_output_flag(command, flags->output);
  command.example("fathom template FOLDER --messages messages.json")
      .example("fathom template FOLDER --messages messages.json --tools tools.json --thinking")
      .example(
          "echo '[{\"role\": \"user\", \"content\": \"hello\"}]' | fathom template FOLDER --output "
          "json");
  command.on_run([&command, flags] { return render(command, *flags); });
}

}  // namespace fathom
