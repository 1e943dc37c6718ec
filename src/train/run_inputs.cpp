#include "train/run_inputs.h"

#include <algorithm>

#include "checkpoint/credible.h"
#include "checkpoint/model_folder.h"
#include "data/packed_source.h"
#include "data/readers.h"
#include "io/files.h"
#include "model/config_json.h"
#include "model/presets.h"
#include "text/chat.h"
#include "text/tokenizer_presets.h"

namespace fathom {
namespace {

constexpr size_t kMostCharacters =
    1000;  // beyond this many different ones, bytes are the better symbols
constexpr int64_t kMostHeldOutTokens = 1 << 18;  // of packed text: enough for a loss to 0.01

std::string all_text(const std::vector<Record>& records) {
  std::string text;
  for (const Record& record : records) {
    text += record.text;
    for (const Message& message : record.messages)
      text += message.content + message.reasoning_content;
  }
  return text;
}

// A character tokenizer where the data needs few characters, else bytes.
Tokenizer tokenizer_for(const std::vector<Record>& records, const std::string& kind) {
  if (kind == "bytes") return byte_tokenizer();
  const std::string characters = distinct_characters(all_text(records));
  if (kind == "auto" && characters.size() > kMostCharacters) return byte_tokenizer();
  return character_tokenizer(characters);
}

Tokenizer choose_tokenizer(const RunConfig& config, const std::vector<Record>& records,
                           const std::string& resume_folder) {
  if (!resume_folder.empty()) return Tokenizer::load(resume_folder);
  const std::string& name = config.tokenizer;
  if (name == "bytes" || name == "characters") return tokenizer_for(records, name);
  if (name != "auto") {
    if (!is_directory(name)) {
      fail(ErrorCode::kUsage, "--tokenizer is '", name,
           "'; expected auto, bytes, characters, or a folder with tokenizer.json");
    }
    const bool here = exists(join_path(name, "tokenizer.json"));
    return Tokenizer::load(here ? name : resolve_model_folder(name));
  }
  if (!config.init.empty()) return Tokenizer::load(resolve_model_folder(config.init));
  return tokenizer_for(records, name);
}

// The template tells other programs, and fathom run, how to talk to the model: one that only ever
// saw plain text continues texts. A tokenizer that came with --init or from a checkpoint keeps what
// it has.
Tokenizer with_fitting_template(Tokenizer tokenizer, bool talks, bool from_model) {
  TokenizerSpec spec = tokenizer.spec();
  if (talks && spec.chat_template.empty()) {
    spec.chat_template = chat_template();
  } else if (!talks && !from_model) {
    spec.chat_template.clear();
  } else {
    return tokenizer;
  }
  return Tokenizer(std::move(spec));
}

// Ids mean what they meant when the weights were made, or the weights mean nothing.
void check_same_tokenizer(const RunConfig& config, const Tokenizer& tokenizer) {
  const std::string folder = resolve_model_folder(config.init);
  if (config.tokenizer == "auto" ||
      Tokenizer::load(folder).tokenizer_json() == tokenizer.tokenizer_json())
    return;
  fail(ErrorCode::kUsage, "--tokenizer ", config.tokenizer, " (", tokenizer.vocab_size(),
       " tokens) is not the tokenizer of --init ", config.init, "; leave out --tokenizer");
}

ModelConfig choose_model(const RunConfig& config, const Tokenizer& tokenizer,
                         const std::string& resume_folder) {
  ModelConfig model;
  if (!resume_folder.empty()) {
    model = read_credible_config(resume_folder);
  } else if (!config.init.empty()) {
    model = read_credible_config(resolve_model_folder(config.init));
  } else {
    model = config.model.empty() ? model_preset(config.preset).config : read_config(config.model);
    check_sizes(model);
    if (model.vocab_size == 0) model.vocab_size = tokenizer.vocab_size();
    const ControlIds& control = tokenizer.control();
    if (control.bos) model.bos_token_id = *control.bos;
    if (control.eos) model.eos_token_ids = {*control.eos};
    if (control.pad) model.pad_token_id = *control.pad;
  }
  model.aux_loss_alpha = model.n_routed_experts > 0 ? config.aux_loss_alpha : 0;
  if (tokenizer.vocab_size() > model.vocab_size) {
    fail(ErrorCode::kUsage, "the tokenizer has ", tokenizer.vocab_size(),
         " tokens but the model's vocab_size is ", model.vocab_size,
         "; use the tokenizer that the model was made with (--tokenizer FOLDER)");
  }
  return model;
}

// `documents` are those of `records`, which know where they stand.
void check_length(const std::vector<Document>& documents, const std::vector<Record>& records,
                  int64_t longest) {
  for (size_t i = 0; i < documents.size(); ++i) {
    if (documents[i].tokens() > longest) {
      fail(ErrorCode::kRuntime, records[i].where, ": the document has ", documents[i].tokens(),
           " tokens; the model's context holds ", longest,
           ". Shorten it, or raise max_position_embeddings (--model CONFIG)");
    }
  }
}

int64_t token_count(const std::vector<Document>& documents) {
  int64_t tokens = 0;
  for (const Document& document : documents) tokens += document.tokens();
  return tokens;
}

int64_t validation_rows(const RunInputs& inputs) {  // in a batch
  return std::max<int64_t>(1, 4096 / inputs.row_tokens);
}

// Text: one stream, random windows; validation walks all windows of the held-out part.
void make_windows(const RunConfig& config, std::vector<Document> documents,
                  std::vector<Document> held_out, RunInputs& inputs) {
  const PackingConfig packing{inputs.model.num_nextn_predict_layers};
  Document stream = concatenate(documents), validation;
  if (held_out.empty()) {
    HoldoutSplit split = split_holdout(stream, config.holdout);
    stream = std::move(split.train);
    validation = std::move(split.held_out);
  } else {
    validation = concatenate(held_out);
  }
  inputs.least_row_tokens = inputs.row_tokens;
  inputs.train_tokens = stream.tokens();
  inputs.validation_tokens = validation.tokens();
  if (stream.tokens() <= inputs.row_tokens) {
    fail(ErrorCode::kRuntime, "data: ", config.data.front(),
         config.data.size() > 1 ? " and the others hold " : " holds ", stream.tokens(),
         " tokens to train on; expected at least ", inputs.row_tokens + 1,
         ", one more than a row. Give more text, or lower --row-tokens (", inputs.row_tokens, ")");
  }
  inputs.validation =
      windows_in_order(validation, inputs.row_tokens, validation_rows(inputs), packing);
  WindowConfig window;
  window.row_tokens = inputs.row_tokens;
  window.rows = config.batch_rows;
  window.seed = config.seed;
  window.packing = packing;
  inputs.train = std::make_unique<WindowSource>(std::move(stream), window);
}

void make_documents(const RunConfig& config, std::vector<Document> documents,
                    std::vector<Document> held_out, RunInputs& inputs) {
  const PackingConfig packing{inputs.model.num_nextn_predict_layers};
  if (held_out.empty() && documents.size() >= 2) {
    DocumentsSplit split = split_holdout(std::move(documents), config.holdout);
    documents = std::move(split.train);
    held_out = std::move(split.held_out);
  }
  inputs.train_tokens = token_count(documents);
  inputs.validation_tokens = token_count(held_out);
  inputs.validation = pack_in_order(
      held_out, std::max<int64_t>(4096, inputs.model.max_position_embeddings), packing);
  DocumentBatchConfig batches;
  batches.documents = config.batch_rows;
  batches.seed = config.seed;
  batches.packing = packing;
  inputs.train = std::make_unique<DocumentSource>(std::move(documents), batches);
}

std::vector<Record> read_all(const std::vector<std::string>& paths) {
  std::vector<Record> records;
  for (const std::string& path : paths) {
    std::vector<Record> more = read_records(path);
    records.insert(records.end(), std::make_move_iterator(more.begin()),
                   std::make_move_iterator(more.end()));
  }
  return records;
}

std::vector<Document> to_documents(const Tokenizer& tokenizer, const std::vector<Record>& records) {
  std::vector<Document> documents;
  for (const Record& record : records) documents.push_back(to_document(tokenizer, record));
  return documents;
}

void set_row_tokens(const RunConfig& config, RunInputs& inputs) {
  inputs.row_tokens =
      config.row_tokens > 0 ? config.row_tokens : inputs.model.max_position_embeddings;
  if (inputs.row_tokens > inputs.model.max_position_embeddings) {
    fail(ErrorCode::kUsage, "--row-tokens is ", inputs.row_tokens, "; expected 1 to ",
         inputs.model.max_position_embeddings,
         ", what the model's context holds (max_position_embeddings), or 0 for all of it");
  }
}

// --- packed text

void check_packed_config(RunKind kind, const RunConfig& config) {
  for (const std::string& path : config.data) {
    if (is_packed_text(path)) continue;
    fail(ErrorCode::kUsage, "--data ", path, " is no packed text, but another --data is; pack ",
         "both (fathom data pack), or give the texts themselves");
  }
  if (kind == RunKind::kTune) {
    fail(ErrorCode::kUsage, "data: sft needs conversations; ", config.data.front(),
         " is packed text. Use fathom train for text");
  }
}

void check_packed_tokenizer(const PackedText& text, const std::string& folder,
                            const Tokenizer& tokenizer) {
  const std::string hash = hash_as_text(tokenizer_hash(tokenizer));
  if (text.tokenizer_hash() == hash) return;
  fail(ErrorCode::kUsage, "data: ", folder, " was packed with another tokenizer (",
       text.tokenizer_hash(), ") than the run has (", hash,
       "). Pack the texts with the run's, or leave out --tokenizer to take the one in ", folder);
}

// The tokenizer that the texts were packed with, unless the run names one, which must be the same.
Tokenizer packed_tokenizer(RunConfig config, const std::string& resume_folder) {
  if (config.tokenizer == "auto" && config.init.empty()) config.tokenizer = config.data.front();
  if (config.tokenizer == "characters") {
    fail(ErrorCode::kUsage, "--tokenizer characters is made from texts; ", config.data.front(),
         " is packed already and holds its tokenizer. Leave out --tokenizer");
  }
  const bool from_model = !resume_folder.empty() || !config.init.empty();
  return with_fitting_template(choose_tokenizer(config, {}, resume_folder), false, from_model);
}

void hold_out_file(const RunConfig& config, const PackingConfig& packing, RunInputs& inputs) {
  const int64_t rows = std::max<int64_t>(1, kMostHeldOutTokens / inputs.row_tokens);
  if (is_packed_text(config.val_data)) {
    PackedText text({config.val_data});
    check_packed_tokenizer(text, config.val_data, inputs.tokenizer);
    inputs.validation =
        spread_rows(text, inputs.row_tokens, rows, validation_rows(inputs), packing);
    return;
  }
  const Document stream = concatenate(read_documents(inputs.tokenizer, {config.val_data}));
  inputs.validation = windows_in_order(stream, inputs.row_tokens, validation_rows(inputs), packing);
}

RunInputs read_packed_inputs(RunKind kind, const RunConfig& config,
                             const std::string& resume_folder) {
  check_packed_config(kind, config);
  auto text = std::make_unique<PackedText>(config.data);
  Tokenizer tokenizer = packed_tokenizer(config, resume_folder);
  if (resume_folder.empty() && !config.init.empty()) check_same_tokenizer(config, tokenizer);
  check_packed_tokenizer(*text, config.data.front(), tokenizer);
  ModelConfig model = choose_model(config, tokenizer, resume_folder);
  RunInputs inputs{std::move(tokenizer), std::move(model), nullptr, {}};
  set_row_tokens(config, inputs);
  inputs.least_row_tokens = inputs.row_tokens;

  PackedSourceConfig rows;
  rows.row_tokens = inputs.row_tokens;
  rows.rows = config.batch_rows;
  rows.seed = config.seed;
  rows.packing = {inputs.model.num_nextn_predict_layers};
  if (config.val_data.empty()) {
    rows.held_out_rows =
        held_out_rows(text->tokens(), inputs.row_tokens, config.holdout, kMostHeldOutTokens);
  }
  auto source = std::make_unique<PackedSource>(std::move(text), rows);
  if (config.val_data.empty()) {
    inputs.validation = source->held_out(validation_rows(inputs));
  } else {
    hold_out_file(config, rows.packing, inputs);
  }
  inputs.train_tokens = source->train_tokens();
  for (const Batch& batch : inputs.validation) inputs.validation_tokens += batch.tokens();
  inputs.train = std::move(source);
  return inputs;
}

}  // namespace

RunInputs read_inputs(RunKind kind, const RunConfig& config, const std::string& resume_folder) {
  if (std::any_of(config.data.begin(), config.data.end(), is_packed_text))
    return read_packed_inputs(kind, config, resume_folder);
  const std::vector<Record> records = read_all(config.data);
  const std::vector<Record> held_out =
      config.val_data.empty() ? std::vector<Record>{} : read_all({config.val_data});
  std::vector<Record> both = records;
  both.insert(both.end(), held_out.begin(), held_out.end());

  const auto conversation = [](const Record& record) { return !record.messages.empty(); };
  const bool talks = std::any_of(records.begin(), records.end(), conversation);
  const bool from_model = !resume_folder.empty() || !config.init.empty();
  Tokenizer tokenizer =
      with_fitting_template(choose_tokenizer(config, both, resume_folder), talks, from_model);
  if (resume_folder.empty() && !config.init.empty()) check_same_tokenizer(config, tokenizer);
  ModelConfig model = choose_model(config, tokenizer, resume_folder);
  RunInputs inputs{std::move(tokenizer), std::move(model), nullptr, {}};
  set_row_tokens(config, inputs);
  if (kind == RunKind::kTune && !std::all_of(records.begin(), records.end(), conversation)) {
    fail(ErrorCode::kRuntime,
         "data: sft needs conversations (messages, or prompt and answer in .jsonl); ",
         config.data.front(), " holds plain text. Use fathom train for text");
  }
  std::vector<Document> documents = to_documents(inputs.tokenizer, records);
  if (documents.empty())
    fail(ErrorCode::kRuntime, "data: ", config.data.front(), " holds no document");
  std::vector<Document> validation = to_documents(inputs.tokenizer, held_out);
  if (talks) {
    check_length(documents, records, inputs.model.max_position_embeddings);
    check_length(validation, held_out, inputs.model.max_position_embeddings);
    make_documents(config, std::move(documents), std::move(validation), inputs);
  } else {
    make_windows(config, std::move(documents), std::move(validation), inputs);
  }
  return inputs;
}

}  // namespace fathom
