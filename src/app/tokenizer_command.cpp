// fathom tokenizer: text to token ids and back, new tokenizers, and two tokenizers side by side.
#include <algorithm>
#include <ctime>

#include "app/commands.h"
#include "app/inputs.h"
#include "app/output_format.h"
#include "app/terminal.h"
#include "base/clock.h"
#include "base/log.h"
#include "data/readers.h"
#include "io/files.h"
#include "text/tokenizer_training.h"

namespace fathom {
namespace {

struct TokenizerFlags {
  std::string action, folder, text;
  bool has_text = false;
  std::vector<std::string> more, files;
  bool no_bos = false, special = false, skip_special = false, added_as_bytes = false;
  bool timing = false;
  std::string out, output = "text";
  int64_t vocab_size = 32000;
};

// The arguments behind the action, at most `most` of them.
std::vector<std::string> arguments(const TokenizerFlags& flags, size_t most, const char* expected) {
  std::vector<std::string> list = {flags.folder};
  if (flags.has_text) list.push_back(flags.text);
  list.insert(list.end(), flags.more.begin(), flags.more.end());
  if (list.size() > most) {
    fail(ErrorCode::kUsage, "tokenizer: ", flags.action, " takes ", expected, "; got ", list.size(),
         " arguments");
  }
  return list;
}

// What to work on: the argument, the files, or standard input. What is not UTF-8 becomes U+FFFD.
std::vector<std::string> input_texts(const TokenizerFlags& flags) {
  arguments(flags, 2, "a folder, then the text or --file or standard input");
  if (flags.has_text && !flags.files.empty()) {
    fail(ErrorCode::kUsage, "tokenizer: give the text as an argument or with --file, not both");
  }
  if (flags.has_text) return {replace_invalid_utf8(flags.text)};
  std::vector<std::string> paths = flags.files;
  if (paths.empty()) paths.push_back("-");
  std::vector<std::string> texts;
  for (const std::string& path : paths) texts.push_back(replace_invalid_utf8(read_input(path)));
  return texts;
}

std::string id_lines(const Tokenizer& tokenizer, const std::vector<int32_t>& ids,
                     OutputFormat output) {
  if (output == OutputFormat::kJson) return Json::object({{"ids", Json(ids)}}).dump() + "\n";
  std::string lines;
  for (const int32_t id : ids) {
    if (output == OutputFormat::kJsonLines) {
      lines += Json::object({{"id", id}, {"text", tokenizer.token_text(id)}}).dump() + "\n";
    } else {
      lines += concat(lines.empty() ? "" : " ", id);
    }
  }
  return output == OutputFormat::kText ? lines + "\n" : lines;
}

double processor_seconds() {
  return static_cast<double>(std::clock()) / static_cast<double>(CLOCKS_PER_SEC);
}

void report_timing(size_t bytes, size_t ids, double seconds, double processor) {
  log_info("encoded ", bytes, " bytes to ", ids, " ids in ", fixed(seconds, 6), " s (",
           fixed(static_cast<double>(bytes) / 1e6 / std::max(seconds, 1e-9), 2),
           " MB/s), processor time ", fixed(processor, 6), " s");
}

int encode(const TokenizerFlags& flags, OutputFormat output) {
  const std::vector<std::string> texts = input_texts(flags);
  const Tokenizer tokenizer = load_tokenizer(flags.folder);
  const EncodeOptions options{.parse_special = flags.special,
                              .add_bos = !flags.no_bos && tokenizer.spec().add_bos_token};
  std::vector<std::vector<int32_t>> ids;
  size_t bytes = 0, count = 0;
  const Timer timer;
  const double before = processor_seconds();
  for (const std::string& text : texts) {
    ids.push_back(encode_text(tokenizer, text, options));
    bytes += text.size();
    count += ids.back().size();
  }
  if (flags.timing) report_timing(bytes, count, timer.seconds(), processor_seconds() - before);
  for (const std::vector<int32_t>& list : ids) print(id_lines(tokenizer, list, output));
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

// Models may have more rows than their tokenizer has tokens; no text was ever written with those.
void check_ids(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  for (size_t i = 0; i < ids.size(); ++i) {
    if (tokenizer.has_token(ids[i])) continue;
    fail(ErrorCode::kUsage, "tokenizer: ids[", i, "] is ", ids[i], "; the vocabulary has ",
         tokenizer.vocab_size(), " tokens",
         ids[i] < tokenizer.vocab_size() ? std::string(", and none with this number")
                                         : concat(", 0 to ", tokenizer.vocab_size() - 1));
  }
}

int decode(const TokenizerFlags& flags, OutputFormat output) {
  const std::vector<std::string> inputs = input_texts(flags);
  const Tokenizer tokenizer = load_tokenizer(flags.folder);
  const DecodeOptions options{.skip_special = flags.skip_special,
                              .added_tokens_as_bytes = flags.added_as_bytes};
  for (const std::string& input : inputs) {
    const std::vector<int32_t> ids = parse_id_text(input);
    check_ids(tokenizer, ids);
    const std::string text = tokenizer.decode(ids, options);
    if (output == OutputFormat::kText) {
      print(output_is_terminal() ? visible(text) + "\n" : text);
    } else {
      print(Json::object({{"text", text}}).dump() + "\n");
    }
  }
  return 0;
}

// The texts of a record, each message one.
void add_record(const Record& record, TokenizerTrainer& trainer) {
  if (record.messages.empty()) trainer.add(record.text);
  for (const Message& message : record.messages) {
    trainer.add(message.reasoning_content);
    trainer.add(message.content);
  }
}

int train(const TokenizerFlags& flags, OutputFormat output) {
  const std::vector<std::string> paths = arguments(flags, std::string::npos, "files");
  if (flags.out.empty()) {
    fail(ErrorCode::kUsage, "tokenizer: train needs --out FOLDER for the new tokenizer");
  }
  if (const std::string file = join_path(flags.out, "tokenizer.json"); exists(file)) {
    fail(ErrorCode::kUsage, "tokenizer: ", file,
         " is there already, and a model's ids would no longer mean its tokens; choose another "
         "--out, or remove it first");
  }
  if (flags.vocab_size < 0 || flags.vocab_size > 1 << 24) {
    fail(ErrorCode::kUsage, "tokenizer: --vocab-size is ", flags.vocab_size, "; expected at most ",
         1 << 24);
  }
  TokenizerTrainer trainer;
  for (const std::string& path : paths) {
    for (const Record& record : read_records(path)) add_record(record, trainer);
  }
  const Tokenizer made = trainer.train({.vocab_size = static_cast<int32_t>(flags.vocab_size)});
  make_directories(flags.out);
  made.save(flags.out);
  const int64_t merges = static_cast<int64_t>(made.spec().merges.size());
  if (made.vocab_size() < flags.vocab_size) {
    log_warning("the text gave out at ", made.vocab_size(),
                " tokens: no further pair occurs twice");
  }
  if (output == OutputFormat::kText) {
    print(concat(flags.out, ": ", made.vocab_size(), " tokens, ", merges, " merges\n"));
  } else {
    print(
        Json::object({{"folder", flags.out}, {"vocab_size", made.vocab_size()}, {"merges", merges}})
            .dump() +
        "\n");
  }
  return 0;
}

// Where two lists of ids part, and what each says there.
struct Difference {
  size_t place = 0, byte = 0;
  std::string first, second;
};

std::string describe_id(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, size_t place) {
  if (place >= ids.size()) return "the end";
  return concat(ids[place], " '", visible(tokenizer.token_text(ids[place])), "'");
}

Difference find_difference(const Tokenizer& a, const std::vector<int32_t>& ids_a,
                           const Tokenizer& b, const std::vector<int32_t>& ids_b) {
  Difference found;
  while (found.place < std::min(ids_a.size(), ids_b.size()) &&
         ids_a[found.place] == ids_b[found.place]) {
    found.byte += a.token_bytes(ids_a[found.place++]).size();
  }
  found.first = describe_id(a, ids_a, found.place);
  found.second = describe_id(b, ids_b, found.place);
  return found;
}

int compare(const TokenizerFlags& flags, OutputFormat output) {
  const std::vector<std::string> paths =
      arguments(flags, 3, "two folders, then a file or standard input");
  if (paths.size() < 2) fail(ErrorCode::kUsage, "tokenizer: compare takes two folders; got one");
  const std::string text = replace_invalid_utf8(read_input(paths.size() == 3 ? paths[2] : "-"));
  const Tokenizer a = load_tokenizer(paths[0]), b = load_tokenizer(paths[1]);
  const EncodeOptions options{.parse_special = flags.special};
  const std::vector<int32_t> ids_a = encode_text(a, text, options);
  const std::vector<int32_t> ids_b = encode_text(b, text, options);
  const bool same = ids_a == ids_b;
  Json result = Json::object({{"same", same},
                              {"bytes", static_cast<int64_t>(text.size())},
                              {"ids", Json::array({static_cast<int64_t>(ids_a.size()),
                                                   static_cast<int64_t>(ids_b.size())})}});
  std::string line = concat("the same ", ids_a.size(), " ids for ", text.size(), " bytes\n");
  if (!same) {
    const Difference found = find_difference(a, ids_a, b, ids_b);
    result["place"] = static_cast<int64_t>(found.place);
    result["byte"] = static_cast<int64_t>(found.byte);
    line = concat("different: ", ids_a.size(), " and ", ids_b.size(), " ids for ", text.size(),
                  " bytes; the first difference is ids[", found.place, "], at byte ", found.byte,
                  ": ", found.first, " and ", found.second, "\n");
  }
  print(output == OutputFormat::kText ? line : result.dump() + "\n");
  return same ? 0 : 1;
}

int run_action(const TokenizerFlags& flags) {
  const OutputFormat output = parse_output_format(flags.output);
  if (flags.action == "encode") return encode(flags, output);
  if (flags.action == "decode") return decode(flags, output);
  if (flags.action == "train") return train(flags, output);
  if (flags.action == "compare") return compare(flags, output);
  fail(ErrorCode::kUsage, "tokenizer: unknown action '", flags.action,
       "'; expected encode, decode, train or compare");
}

}  // namespace

void add_tokenizer_command(CommandLine& line) {
  Command& command =
      line.add("tokenizer", "text to token ids and back; make and compare tokenizers");
  auto flags = std::make_shared<TokenizerFlags>();
  command.positional("action", flags->action, "encode, decode, train or compare")
      .positional("folder", flags->folder,
                  "folder with tokenizer.json; train: a .txt or .jsonl file, or a folder of them")
      .positional("text", flags->text,
                  "text to encode, or ids to decode; without it, standard input byte for byte; "
                  "compare: the other folder",
                  false)
      .positional("more", flags->more,
                  "train: more files; compare: the file to encode, without it standard input")
      .option("--file,-f", flags->files,
              "encode, decode: file to read instead, one result each; - is standard input")
      .flag("--no-bos", flags->no_bos, "encode: no begin token, even where the tokenizer adds one")
      .flag("--special", flags->special,
            "encode: text that spells a control token becomes that token")
      .flag("--timing", flags->timing, "encode: say on standard error how long it took")
      .flag("--skip-special", flags->skip_special, "decode: leave out begin, end and padding")
      .flag("--added-as-bytes", flags->added_as_bytes,
            "decode: added tokens such as ü stand for a byte, as other programs have it")
      .option("--vocab-size", flags->vocab_size, "train: tokens in all")
      .option("--out", flags->out, "train: folder for the new tokenizer");
  add_output_flag(command, flags->output);
  command.example("fathom tokenizer encode FOLDER \"12+34\"")
      .example("fathom tokenizer encode FOLDER --no-bos --output json < text.txt")
      .example("fathom tokenizer decode FOLDER \"8 9 17\"")
      .example("fathom tokenizer train texts.jsonl --vocab-size 8000 --out FOLDER")
      .example("fathom tokenizer compare FOLDER OTHER text.txt");
  command.on_run([&command, flags] {
    flags->has_text = command.given("text");
    return run_action(*flags);
  });
}

}  // namespace fathom
