// fathom data: texts to packed text that training maps, and text of known entropy.
#include <algorithm>
#include <numbers>

#include "app/commands.h"
#include "app/inputs.h"
#include "app/terminal.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/stop.h"
#include "data/pack.h"
#include "data/packed_text.h"
#include "data/synth.h"
#include "io/files.h"

namespace fathom {
namespace {

struct DataFlags {
  std::string action, tokenizer, out;
  std::vector<std::string> paths;
  int64_t max_bad_lines = 100, shard_tokens = PackConfig{}.shard_tokens;
  double fim_rate = 0;
  SynthConfig synth;
  int64_t bytes = 0;
  bool json = false;
};

void need(bool given, const DataFlags& flags, const char* what) {
  if (!given) fail(ErrorCode::kUsage, "data: ", flags.action, " needs ", what);
}

// Names the first problems and leaves the rest to the count at the end.
class ProblemLines {
 public:
  void add(const std::string& problem) {
    if (++count_ <= kNamed) log_warning(problem);
    if (count_ == kNamed + 1) log_warning("more bad lines follow; they are counted");
  }

 private:
  static constexpr int64_t kNamed = 10;
  int64_t count_ = 0;
};

// One line now and then, on standard error.
class PackLines {
 public:
  void show(const PackProgress& progress) {
    if (now_seconds() - shown_ < kEverySeconds) return;
    shown_ = now_seconds();
    log_info("packing: ", progress.files_done, " of ", progress.files, " files, ",
             human_bytes(static_cast<double>(progress.text_bytes)), ", ",
             human_count(static_cast<double>(progress.tokens)), " tokens");
  }

 private:
  static constexpr double kEverySeconds = 5;
  double shown_ = now_seconds();
};

int pack(const DataFlags& flags) {
  need(!flags.paths.empty(), flags, "files, folders or patterns of .txt and .jsonl");
  need(!flags.tokenizer.empty(), flags, "--tokenizer FOLDER");
  need(!flags.out.empty(), flags, "--out FOLDER for the packed text");
  if (flags.max_bad_lines < 0 || flags.shard_tokens < 1) {
    fail(ErrorCode::kUsage, "data: --max-bad-lines is ", flags.max_bad_lines,
         " and --shard-tokens ", flags.shard_tokens, "; expected at least 0 and 1");
  }
  if (!(flags.fim_rate >= 0 && flags.fim_rate <= 1)) {
    fail(ErrorCode::kUsage, "data: --fim-rate is ", flags.fim_rate, "; expected 0 to 1");
  }
  PackConfig config;
  config.files = find_text_files(flags.paths);
  config.max_bad_lines = flags.max_bad_lines;
  config.shard_tokens = flags.shard_tokens;
  config.fill = {flags.fim_rate, flags.synth.seed};
  const Tokenizer tokenizer = load_tokenizer(flags.tokenizer);
  ProblemLines problems;
  PackLines lines;
  PackEvents events;
  events.progress = [&](const PackProgress& progress) { lines.show(progress); };
  events.bad_document = [&](const std::string& problem) { problems.add(visible(problem)); };
  install_stop_handlers();
  const Timer timer;
  PackedSummary summary;
  try {
    summary = pack_texts(tokenizer, config, flags.out, events);
  } catch (const Error& error) {
    if (!stop_requested()) throw;
    log_warning(error.what());
    return 128 + stop_signal();
  }
  const double seconds = timer.seconds();
  if (flags.json) {
    print(Json::object({{"folder", flags.out},
                        {"tokens", summary.tokens},
                        {"documents", summary.documents},
                        {"bad_documents", summary.bad_documents},
                        {"files", config.files.size()},
                        {"shards", summary.shards.size()},
                        {"text_bytes", summary.text_bytes},
                        {"tokenizer_hash", summary.tokenizer_hash},
                        {"seconds", seconds}})
              .dump() +
          "\n");
    return 0;
  }
  print(concat(flags.out, ": ", summary.tokens, " tokens, ", summary.documents, " documents, ",
               summary.bad_documents, " bad, ", summary.shards.size(), " shards; ",
               human_bytes(static_cast<double>(summary.text_bytes)), " of text in ",
               human_seconds(seconds), "\n"));
  return 0;
}

int check(const DataFlags& flags) {
  need(!flags.paths.empty(), flags, "folders of packed text");
  PackedText text(flags.paths);
  text.check_all();
  const Json result = Json::object({{"tokens", text.tokens()}, {"documents", text.documents()}});
  print(flags.json ? result.dump() + "\n"
                   : concat(text.tokens(), " tokens, ", text.documents(),
                            " documents: every byte as it was written\n"));
  return 0;
}

int synth(const DataFlags& flags) {
  need(!flags.out.empty(), flags, "--out FILE.txt");
  need(flags.bytes > 0, flags, "--bytes, more than 0");
  need(flags.paths.empty(), flags, "no path but --out");
  SynthSource source(flags.synth);
  install_stop_handlers();
  OutputFile file(flags.out);
  constexpr int64_t kPiece = 1 << 20;
  for (int64_t done = 0; done < flags.bytes; done += kPiece) {
    if (stop_requested()) return 128 + stop_signal();  // the file is removed
    file.write(source.next(static_cast<size_t>(std::min(kPiece, flags.bytes - done))));
  }
  file.finish();
  const double bits = source.bits_per_byte();
  const double nats = bits * std::numbers::ln2;
  if (flags.json) {
    print(Json::object({{"file", flags.out},
                        {"bytes", flags.bytes},
                        {"order", flags.synth.order},
                        {"symbols", kSynthSymbols},
                        {"seed", concat(flags.synth.seed)},
                        {"bits_per_byte", bits},
                        {"nats_per_byte", nats}})
              .dump() +
          "\n");
    return 0;
  }
  print(concat(flags.out, ": ", flags.bytes, " bytes of ", fixed(bits, 4), " bits each (",
               fixed(nats, 4), " nats), given the ", flags.synth.order, " before\n"));
  return 0;
}

int run_action(const DataFlags& flags) {
  if (flags.action == "pack") return pack(flags);
  if (flags.action == "check") return check(flags);
  if (flags.action == "synth") return synth(flags);
  fail(ErrorCode::kUsage, "data: unknown action '", flags.action,
       "'; expected pack, check or synth");
}

}  // namespace

void add_data_command(CommandLine& line) {
  Command& command = line.add("data", "texts to packed text for training; text of known entropy");
  auto flags = std::make_shared<DataFlags>();
  command.positional("action", flags->action, "pack, check or synth")
      .positional("paths", flags->paths,
                  "pack: files, folders or patterns of .txt and .jsonl, also .gz; "
                  "check: folders of packed text")
      .option("--tokenizer", flags->tokenizer, "pack: folder with tokenizer.json")
      .option("--out", flags->out, "pack: folder for the packed text; synth: file for the text")
      .option("--max-bad-lines", flags->max_bad_lines,
              "pack: lines and files that may be left out because they hold no text")
      .option("--shard-tokens", flags->shard_tokens, "pack: tokens after which a file is full")
      .option("--fim-rate", flags->fim_rate,
              "pack: share of the documents that are learned as texts with a hole")
      .option("--bits-per-byte", flags->synth.bits_per_byte, "synth: entropy, at most 6")
      .option("--bytes", flags->bytes, "synth: length of the text")
      .option("--order", flags->synth.order,
              "synth: how many characters decide about the next, 1 to 3")
      .option("--seed", flags->synth.seed,
              "pack: of what gets a hole, and where; synth: of the text")
      .flag("--json", flags->json, "the result as one line of JSON");
  command.example("fathom data pack --tokenizer FOLDER --out packed corpus/ more.jsonl.gz")
      .example("fathom data check packed")
      .example("fathom data synth --bits-per-byte 1.5 --bytes 4000000 --out known.txt")
      .example("fathom train --data packed --preset llm-nano --out runs/nano");
  command.on_run([flags] { return run_action(*flags); });
}

}  // namespace fathom
