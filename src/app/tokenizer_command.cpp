// fathom tokenizer: text to token ids and back.
#include "app/commands.h"
#include "app/inputs.h"
#include "app/output_format.h"
#include "app/terminal.h"

namespace fathom {
namespace {

struct TokenizerFlags {
  std::string action, folder, text, file = "-";
  bool no_bos = false, special = false, skip_special = false;
  std::string output = "text";
};

int encode(const Command& command, const TokenizerFlags& flags, OutputFormat output) {
  const Tokenizer tokenizer = load_tokenizer(flags.folder);
  if (command.given("text") && command.given("--file")) {
    fail(ErrorCode::kUsage, "tokenizer: give the text as an argument or with --file, not both");
  }
  const std::string text = command.given("text") ? flags.text : read_input(flags.file);
  const EncodeOptions options{.parse_special = flags.special,
                              .add_bos = !flags.no_bos && tokenizer.spec().add_bos_token};
  const std::vector<int32_t> ids = encode_text(tokenizer, text, options);
  if (output == OutputFormat::kJson) {
    print(Json::object({{"ids", Json(ids)}}).dump() + "\n");
    return 0;
  }
  std::string lines;
  for (const int32_t id : ids) {
    if (output == OutputFormat::kJsonLines) {
      lines += Json::object({{"id", id}, {"text", tokenizer.token_text(id)}}).dump() + "\n";
    } else {
      lines += concat(lines.empty() ? "" : " ", id);
    }
  }
  print(output == OutputFormat::kText ? lines + "\n" : lines);
  return 0;
}

// "1 2 3" or JSON.
std::vector<int32_t> parse_id_text(const std::string& text) {
  if (text.find_first_of("[{") != std::string::npos) return parse_ids(text, "token ids");
  std::string list;
  for (size_t at = 0; (at = text.find_first_not_of(" \t\r\n,", at)) != std::string::npos;) {
    const size_t end = std::min(text.find_first_of(" \t\r\n,", at), text.size());
    list += concat(list.empty() ? "" : ",", text.substr(at, end - at));
    at = end;
  }
  return parse_ids("[" + list + "]", "token ids");
}

int decode(const Command& command, const TokenizerFlags& flags, OutputFormat output) {
  const Tokenizer tokenizer = load_tokenizer(flags.folder);
  const std::vector<int32_t> ids =
      parse_id_text(command.given("text") ? flags.text : read_input(flags.file));
  const std::string text = tokenizer.decode(ids, {.skip_special = flags.skip_special});
  if (output == OutputFormat::kText) {
    print(output_is_terminal() ? visible(text) + "\n" : text);
  } else {
    print(Json::object({{"text", text}}).dump() + "\n");
  }
  return 0;
}

int run_action(const Command& command, const TokenizerFlags& flags) {
  const OutputFormat output = parse_output_format(flags.output);
  if (flags.action == "encode") return encode(command, flags, output);
  if (flags.action == "decode") return decode(command, flags, output);
  fail(ErrorCode::kUsage, "tokenizer: unknown action '", flags.action,
       "'; expected encode or decode");
}

}  // namespace

void add_tokenizer_command(CommandLine& line) {
  Command& command = line.add("tokenizer", "text to token ids and back");
  auto flags = std::make_shared<TokenizerFlags>();
  command.positional("action", flags->action, "encode or decode")
      .positional("folder", flags->folder, "folder with tokenizer.json")
      .positional("text", flags->text,
                  "text to encode, or ids to decode; without it, standard input byte for byte",
                  false)
      .option("--file,-f", flags->file, "file to read instead; - is standard input")
      .flag("--no-bos", flags->no_bos, "encode: no begin token, even where the tokenizer adds one")
      .flag("--special", flags->special,
            "encode: text that spells a control token becomes that token")
      .flag("--skip-special", flags->skip_special, "decode: leave out begin, end and padding");
  add_output_flag(command, flags->output);
  command.example("fathom tokenizer encode FOLDER \"12+34\"")
      .example("fathom tokenizer encode FOLDER --no-bos --output json < text.txt")
      .example("fathom tokenizer decode FOLDER \"8 9 17\"");
  command.on_run([&command, flags] { return run_action(command, *flags); });
}

}  // namespace fathom
