#include "train/run_inputs.h"

#include <algorithm>

#include "checkpoint/credible.h"
#include "checkpoint/model_folder.h"
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
  const int64_t rows_per_batch = std::max<int64_t>(1, 4096 / inputs.row_tokens);
  inputs.validation = windows_in_order(validation, inputs.row_tokens, rows_per_batch, packing);
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

}  // namespace

RunInputs read_inputs(RunKind kind, const RunConfig& config, const std::string& resume_folder) {
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
  inputs.row_tokens =
      config.row_tokens > 0 ? config.row_tokens : inputs.model.max_position_embeddings;
  if (inputs.row_tokens > inputs.model.max_position_embeddings) {
    fail(ErrorCode::kUsage, "--row-tokens is ", inputs.row_tokens, "; expected 1 to ",
         inputs.model.max_position_embeddings,
         ", what the model's context holds (max_position_embeddings), or 0 for all of it");
  }
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
