// fathom template: a conversation as the model sees it.
#include "app/commands.h"
#include "app/inputs.h"
#include "app/output_format.h"
#include "app/terminal.h"
#include "checkpoint/model_folder.h"
#include "io/files.h"

namespace fathom {
namespace {

struct TemplateFlags {
  std::string folder, messages = "-";
  bool think = false, closed = false;
  std::string output = "text";
};

std::string ids_text(const std::vector<int32_t>& ids) {
  std::string text;
  for (const int32_t id : ids) text += concat(text.empty() ? "" : " ", id);
  return text;
}

int render(const TemplateFlags& flags) {
  const OutputFormat output = parse_output_format(flags.output);
  const Tokenizer tokenizer = load_tokenizer(flags.folder);
  const std::vector<Message> messages = read_messages(flags.messages);
  const ChatOptions options{.add_generation_prompt = !flags.closed, .open_think = flags.think};
  const std::vector<int32_t> ids = encode_chat(tokenizer, messages, options);
  const std::string text = render_chat_text(messages, options);
  if (output == OutputFormat::kText) {
    print(concat(text, "\n", ids_text(ids), "\n"));
  } else {
    print(Json::object({{"text", text}, {"ids", Json(ids)}}).dump() + "\n");
  }
  return 0;
}

}  // namespace

void add_template_command(CommandLine& line) {
  Command& command =
      line.add("template", "a conversation as the model sees it: text and token ids");
  auto flags = std::make_shared<TemplateFlags>();
  command.positional("folder", flags->folder, "folder with tokenizer.json")
      .option("--messages", flags->messages,
              "JSON list of {\"role\", \"content\"}; - is standard input")
      .flag("--no-generation-prompt", flags->closed, "do not open an answer at the end")
      .flag("--think", flags->think, "open the answer with <think>");
  add_output_flag(command, flags->output);
  command.example("fathom template FOLDER --messages messages.json")
      .example(
          "echo '[{\"role\": \"user\", \"content\": \"hello\"}]' | fathom template FOLDER --output "
          "json");
  command.on_run([flags] { return render(*flags); });
}

}  // namespace fathom
