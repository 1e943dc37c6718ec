// fathom score: how probable texts are to a model, and its logits for comparison with other
// programs.
#include <cmath>
#include <iostream>

#include "app/commands.h"
#include "app/device_flags.h"
#include "app/foreign_flags.h"
#include "app/inputs.h"
#include "app/logits_file.h"
#include "app/model_input.h"
#include "app/terminal.h"
#include "base/stop.h"
#include "data/packing.h"
#include "data/readers.h"
#include "io/files.h"
#include "ops/linear_objective/linear_objective.h"

namespace fathom {
namespace {

constexpr int64_t kBatchTokens = 2048;  // short windows go together through the model

struct ScoreFlags {
  ModelFlags model;
  std::string ids_file, logits_file, positions;
  std::vector<std::string> texts, files;
  bool json = false, tokens = false, no_bos = false;
  int64_t context = 0;
  DeviceFlags device;
};

struct Item {
  std::string where;  // "text 1", a file's name
  std::string text;   // empty where ids were given
  std::vector<int32_t> ids;
};

// Of the tokens that have one before them.
struct Score {
  std::vector<double> logprobs;  // [ids], the first 0
  int64_t tokens = 0, bytes = 0;
  double nll = 0;     // nats
  bool whole = true;  // false: a stop came before its last window

  double perplexity() const {
    return std::exp(nll / static_cast<double>(std::max<int64_t>(tokens, 1)));
  }
  double bits_per_byte() const {
    return nll / std::log(2.0) / static_cast<double>(std::max<int64_t>(bytes, 1));
  }
};

std::vector<Item> read_texts(const ScoreFlags& flags) {
  std::vector<Item> items;
  for (const std::string& text : flags.texts)
    items.push_back({concat("text ", items.size() + 1), text, {}});
  for (const std::string& path : flags.files) {
    if (!path.ends_with(".jsonl")) {
      items.push_back({path, read_input(path), {}});
      continue;
    }
    for (Record& record : read_records(path)) {
      if (!record.messages.empty()) {
        fail(ErrorCode::kUsage, record.where, ": score takes texts; this is a conversation");
      }
      items.push_back({record.where, std::move(record.text), {}});
    }
  }
  if (items.empty() && input_is_piped())
    items.push_back({"standard input", read_standard_input(), {}});
  if (items.empty()) {
    fail(ErrorCode::kUsage,
         "score: there is no text; give texts as arguments, files with -f, or a pipe");
  }
  return items;
}

std::vector<Item> read_items(const Command& command, const ScoreFlags& flags,
                             const LoadedModel& model) {
  if (command.given("--ids")) return {{flags.ids_file, "", read_ids(flags.ids_file)}};
  const Tokenizer& tokenizer = model.require_tokenizer();
  std::vector<Item> items = read_texts(flags);
  for (Item& item : items) {
    const bool bos = !flags.no_bos && tokenizer.spec().add_bos_token;
    item.ids = encode_text(tokenizer, item.text, {.add_bos = bos});
  }
  return items;
}

void check_ids(const Item& item, const ModelConfig& config) {
  if (item.ids.size() < 2) {
    fail(ErrorCode::kUsage, "score: ", item.where, " has ", item.ids.size(),
         " tokens; at least 2 are needed, since each is judged by those before it");
  }
  check_vocabulary(item.ids, config.vocab_size, item.where);
}

// In windows of the context's length; each token but the first is judged once.
Score score_item(const LoadedModel& model, Device& device, const Item& item, int64_t context) {
  const Document stream{item.ids, std::vector<float>(item.ids.size(), 1.0f)};
  Score score;
  score.logprobs.assign(1, 0.0);
  const int64_t windows = std::max<int64_t>(1, kBatchTokens / context);
  for (const Batch& batch : windows_in_order(stream, context, windows, {})) {
    Pass pass = device.pass();
    const Tensor hidden = model.decoder->forward(pass, batch.ids, batch.layout);
    const std::vector<double> part =
        target_logprobs(pass, hidden, model.decoder->lm_head(), batch.targets);
    score.logprobs.insert(score.logprobs.end(), part.begin(), part.end());
    if (stop_requested()) break;
  }
  score.whole = score.logprobs.size() == item.ids.size();
  for (size_t i = 1; i < score.logprobs.size(); ++i) {
    score.nll -= score.logprobs[i];
    ++score.tokens;
    if (model.tokenizer)
      score.bytes += static_cast<int64_t>(model.tokenizer->token_bytes(item.ids[i]).size());
  }
  if (!std::isfinite(score.nll)) {
    fail(ErrorCode::kRuntime, "score: the log-probabilities of ", item.where,
         " are not numbers; are the weights of ", model.folder, " damaged?");
  }
  return score;
}

Json score_json(const Item& item, const Score& score) {
  Json json = Json::object({{"where", replace_invalid_utf8(item.where)}});
  if (!item.text.empty()) json["text"] = item.text;
  json["tokens"] = score.tokens;
  json["bytes"] = score.bytes > 0 ? Json(score.bytes) : Json();
  json["nll"] = score.nll;
  json["mean_logprob"] = -score.nll / static_cast<double>(std::max<int64_t>(score.tokens, 1));
  json["perplexity"] = score.perplexity();
  json["bits_per_byte"] = score.bytes > 0 ? Json(score.bits_per_byte()) : Json();
  json["ids"] = Json(item.ids);
  Json logprobs = Json::array({nullptr});
  for (size_t i = 1; i < score.logprobs.size(); ++i) logprobs.push_back(score.logprobs[i]);
  json["logprobs"] = std::move(logprobs);
  return json;
}

std::string figures(const Score& score) {
  const double mean = -score.nll / static_cast<double>(std::max<int64_t>(score.tokens, 1));
  std::string text = concat(score.tokens, " tokens, mean log-probability ", fixed(mean, 4),
                            ", perplexity ", fixed(score.perplexity(), 3));
  if (score.bytes > 0) text += concat(", ", fixed(score.bits_per_byte(), 4), " bits per byte");
  return text;
}

std::string token_lines(const LoadedModel& model, const Item& item, const Score& score) {
  std::string text;
  for (size_t i = 0; i < score.logprobs.size(); ++i) {
    const std::string value = i == 0 ? "-" : fixed(score.logprobs[i], 4);
    const std::string token =
        model.tokenizer ? Json(model.tokenizer->token_text(item.ids[i])).dump() : "";
    text += concat("  ", std::string(value.size() < 10 ? 10 - value.size() : 0, ' '), value, "  ",
                   item.ids[i], "  ", token, "\n");
  }
  return text;
}

int score_items(const LoadedModel& model, Device& device, const ScoreFlags& flags,
                const std::vector<Item>& items, int64_t context) {
  Score total;
  for (const Item& item : items) {
    const Score score = score_item(model, device, item, context);
    if (!score.whole) {
      std::cerr << visible(concat("fathom: stopped after ", score.logprobs.size(), " of the ",
                                  item.ids.size(), " tokens of ", item.where,
                                  "; it has no result\n"));
      return 128 + stop_signal();
    }
    total.tokens += score.tokens;
    total.bytes += score.bytes;
    total.nll += score.nll;
    if (flags.json) {
      print(score_json(item, score).dump() + "\n");
    } else {
      print(visible(concat(item.where, ": ", figures(score), "\n",
                           flags.tokens ? token_lines(model, item, score) : "")));
    }
    if (stop_requested()) return 128 + stop_signal();
    if (!output_is_open()) return kReaderLeft;
  }
  if (!flags.json && items.size() > 1) print(concat("all: ", figures(total), "\n"));
  return 0;
}

int64_t context_tokens(const ScoreFlags& flags, const ModelConfig& config) {
  if (flags.context < 0 || flags.context > config.max_position_embeddings) {
    fail(ErrorCode::kUsage, "--ctx-size is ", flags.context, "; expected 1 to ",
         config.max_position_embeddings,
         ", for which this model was made (max_position_embeddings), or 0 for all of it");
  }
  return flags.context > 0 ? flags.context : config.max_position_embeddings;
}

int score(const Command& command, const ScoreFlags& flags) {
  if (command.given("--ids") && !(flags.texts.empty() && flags.files.empty())) {
    fail(ErrorCode::kUsage, "--ids stands for the text; leave out the text or --ids");
  }
  if (command.given("--positions") && !command.given("--logits")) {
    fail(ErrorCode::kUsage, "--positions chooses rows of the logits file; it needs --logits");
  }
  Device device = open_device(flags.device);
  const LoadedModel model = load_with_progress(flags.model, device.memory());
  install_stop_handlers();
  const std::vector<Item> items = read_items(command, flags, model);
  for (const Item& item : items) check_ids(item, model.config());
  if (!command.given("--logits"))
    return score_items(model, device, flags, items, context_tokens(flags, model.config()));
  if (items.size() != 1) fail(ErrorCode::kUsage, "--logits takes one text; got ", items.size());
  const auto count = static_cast<int64_t>(items.front().ids.size());
  const RowRange rows =
      command.given("--positions") ? parse_row_range(flags.positions, count) : RowRange{0, count};
  write_logits(model, device, items.front().ids, rows, flags.logits_file);
  const int64_t written = rows.end - rows.begin;
  print(flags.json ? Json::object({{"logits", replace_invalid_utf8(flags.logits_file)},
                                   {"rows", written},
                                   {"vocab_size", model.config().vocab_size}})
                             .dump() +
                         "\n"
                   : visible(concat(flags.logits_file, ": logits of ", written, " tokens\n")));
  return 0;
}

}  // namespace

void add_score_command(CommandLine& line) {
  Command& command = line.add("score", "log-probabilities, perplexity and bits per byte of texts");
  auto flags = std::make_shared<ScoreFlags>();
  add_model_flags(command, flags->model);
  command.positional("texts", flags->texts, "texts; without any, files or standard input")
      .option("--file,-f", flags->files, "file to score, .jsonl line by line; may be repeated")
      .option("--ids", flags->ids_file,
              "JSON file of token ids instead: {\"ids\": [...]}; - is standard input")
      .option("--logits", flags->logits_file,
              "write f32 logits [tokens, vocab], and mtp_logits where there is a head, to this "
              "safetensors file")
      .option("--positions", flags->positions, "rows A to B - 1 of the logits: A:B")
      .option("--ctx-size,-c,--max-model-len,--context-length,--num-ctx", flags->context,
              "tokens of one window; 0: as the model was made")
      .flag("--tokens", flags->tokens, "a line for each token")
      .flag("--no-bos", flags->no_bos, "no begin token, even where the tokenizer adds one")
      .flag("--json", flags->json, "a JSON object for each text, with ids and logprobs");
  add_device_flags(command, flags->device, "--dtype");
  add_foreign_flags(command);
  command.settings_file();
  command.example("fathom score FOLDER \"to be or not to be\"")
      .example("fathom score FOLDER -f held-out.txt --json")
      .example(
          "fathom score FOLDER --ids ids.json --dtype f32 --logits logits.safetensors --positions "
          "0:128");
  command.on_run([&command, flags] { return score(command, *flags); });
}

}  // namespace fathom
