#include "data/batch_source.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "data/shuffle.h"

namespace fathom {
namespace {

struct Range {
  int64_t first, last;
};

Range cut(int64_t first, int64_t last, const StepPart& part) {
  FATHOM_CHECK(part.count > 0 && part.index >= 0 && part.index < part.count, "batch: part ",
               part.index, " of ", part.count);
  const int64_t size = last - first;
  return {first + size * part.index / part.count, first + size * (part.index + 1) / part.count};
}

void check_step(int64_t step) { FATHOM_CHECK(step >= 0, "batch: step ", step, " is negative"); }

uint64_t hash_values(const void* data, size_t bytes) {
  return hash_text(static_cast<const char*>(data), bytes);
}

uint64_t content_hash(const Document& document) {
  return mix64(
      hash_values(document.ids.data(), document.ids.size() * sizeof(int32_t)) ^
      mix64(hash_values(document.weights.data(), document.weights.size() * sizeof(float))));
}

bool is_shorter(const Document& a, const Document& b) { return a.tokens() < b.tokens(); }

// JSON integers are signed, so hashes and seeds travel as text.
std::string as_text(uint64_t value) { return concat(value); }

}  // namespace

// --- windows of a stream

WindowSource::WindowSource(Document stream, const WindowConfig& config)
    : stream_(std::move(stream)), config_(config) {
  FATHOM_CHECK(config.row_tokens > 0 && config.rows > 0, "windows: ", config.rows, " rows of ",
               config.row_tokens, " tokens; both must be positive");
  if (stream_.tokens() <= config.row_tokens) {
    fail(ErrorCode::kRuntime, "data: the text has ", stream_.tokens(), " tokens, but a row of ",
         config.row_tokens, " needs one more than that; give more text or shorter rows");
  }
}

int64_t WindowSource::first_token(int64_t step, int64_t row) const {
  const uint64_t choices = static_cast<uint64_t>(stream_.tokens() - config_.row_tokens);
  if (config_.order == WindowOrder::kRandom) {
    const RandomKey key{.seed = config_.seed,
                        .purpose = Purpose::kData,
                        .step = static_cast<uint64_t>(step),
                        .layer = 0};
    return static_cast<int64_t>(key.below(static_cast<uint64_t>(row), choices));
  }
  const uint64_t windows = static_cast<uint64_t>((stream_.tokens() - 1) / config_.row_tokens);
  const uint64_t place = static_cast<uint64_t>(step * config_.rows + row);
  const uint64_t window = shuffled_element(config_.seed, place, windows);
  // The pass begins at an offset of its own, so that the cuts between windows move.
  const uint64_t slack =
      static_cast<uint64_t>(stream_.tokens()) - windows * static_cast<uint64_t>(config_.row_tokens);
  const RandomKey key{
      .seed = config_.seed, .purpose = Purpose::kData, .step = place / windows, .layer = 4};
  return static_cast<int64_t>(key.below(0, slack)) +
         static_cast<int64_t>(window) * config_.row_tokens;
}

Batch WindowSource::batch(int64_t step, const StepPart& part) {
  check_step(step);
  BatchBuilder builder(config_.packing);
  const Range rows = cut(0, config_.rows, part);
  for (int64_t row = rows.first; row < rows.last; ++row) {
    add_window(builder, stream_, first_token(step, row), config_.row_tokens, config_.packing);
  }
  return builder.finish();
}

int64_t WindowSource::most_tokens(int64_t, int64_t parts) {
  return (config_.rows + parts - 1) / parts * config_.row_tokens;
}

Json WindowSource::identity() const {
  return Json::object({{"source", "windows"},
                       {"tokens", stream_.tokens()},
                       {"content", as_text(content_hash(stream_))},
                       {"row_tokens", config_.row_tokens},
                       {"rows", config_.rows},
                       {"order", config_.order == WindowOrder::kRandom ? "random" : "shuffled"},
                       {"seed", as_text(config_.seed)}});
}

// --- documents

DocumentSource::DocumentSource(std::vector<Document> documents, const DocumentBatchConfig& config)
    : documents_(std::move(documents)), config_(config), first_places_{0} {
  FATHOM_CHECK((config.documents > 0) != (config.token_budget > 0),
               "documents per step: ", config.documents, ", token budget: ", config.token_budget,
               "; exactly one of them must be positive");
  if (documents_.empty()) fail(ErrorCode::kRuntime, "data: there are no documents to train on");
  const auto shortest = std::min_element(documents_.begin(), documents_.end(), is_shorter);
  if (shortest->tokens() < 2) {
    fail(ErrorCode::kRuntime, "data: document ", shortest - documents_.begin() + 1, " has ",
         shortest->tokens(), " tokens; a document needs two, one to see and one to predict");
  }
  const auto longest = std::max_element(documents_.begin(), documents_.end(), is_shorter);
  if (config.token_budget > 0 && longest->tokens() > config.token_budget) {
    fail(ErrorCode::kRuntime, "data: document ", longest - documents_.begin() + 1, " has ",
         longest->tokens(), " tokens, more than the ", config.token_budget,
         " of a step; raise the budget or split the document");
  }
}

const Document& DocumentSource::document_at(int64_t place) const {
  const uint64_t count = documents_.size();
  const uint64_t walk = static_cast<uint64_t>(place);
  return documents_[config_.shuffle ? shuffled_element(config_.seed, walk, count) : walk % count];
}

// With a budget the steps before decide where this one begins; that is a walk over lengths, done
// once per source.
int64_t DocumentSource::first_place(int64_t step) {
  if (config_.documents > 0) return step * config_.documents;
  while (std::ssize(first_places_) <= step) {
    int64_t place = first_places_.back();
    int64_t tokens = document_at(place++).tokens();
    while (tokens + document_at(place).tokens() <= config_.token_budget) {
      tokens += document_at(place++).tokens();
    }
    first_places_.push_back(place);
  }
  return first_places_[static_cast<size_t>(step)];
}

Batch DocumentSource::batch(int64_t step, const StepPart& part) {
  check_step(step);
  BatchBuilder builder(config_.packing);
  const Range places = cut(first_place(step), first_place(step + 1), part);
  for (int64_t place = places.first; place < places.last; ++place) builder.add(document_at(place));
  return builder.finish();
}

// A walk over lengths, as far as it takes little time.
int64_t DocumentSource::most_tokens(int64_t steps, int64_t parts) {
  constexpr int64_t kMostDocuments = 10'000'000;
  int64_t most = 0;
  for (int64_t step = 0; step < steps && first_place(step) < kMostDocuments; ++step) {
    for (int64_t part = 0; part < parts; ++part) {
      const Range places = cut(first_place(step), first_place(step + 1), {part, parts});
      int64_t tokens = 0;
      for (int64_t place = places.first; place < places.last; ++place)
        tokens += document_at(place).tokens();
      most = std::max(most, tokens);
    }
  }
  return most;
}

Json DocumentSource::identity() const {
  uint64_t content = 0;
  for (const Document& document : documents_) content = mix64(content ^ content_hash(document));
  return Json::object({{"source", "documents"},
                       {"count", documents_.size()},
                       {"content", as_text(content)},
                       {"documents", config_.documents},
                       {"token_budget", config_.token_budget},
                       {"shuffle", config_.shuffle},
                       {"seed", as_text(config_.seed)}});
}

// --- mixtures of tasks

MixtureSource::MixtureSource(Tokenizer tokenizer, const MixtureConfig& mixture,
                             const MixtureBatchConfig& config)
    : tokenizer_(std::move(tokenizer)), mixture_(mixture), config_(config) {
  FATHOM_CHECK(config.documents > 0, "mixture: ", config.documents, " documents per step");
}

Batch MixtureSource::batch(int64_t step, const StepPart& part) {
  check_step(step);
  BatchBuilder builder(config_.packing);
  const Range documents = cut(0, config_.documents, part);
  for (int64_t index = documents.first; index < documents.last; ++index) {
    builder.add(mixture_.document(tokenizer_, config_.seed, static_cast<uint64_t>(step),
                                  static_cast<uint64_t>(index)));
  }
  return builder.finish();
}

Json MixtureSource::identity() const {
  const MixtureConfig& mixture = mixture_.config();
  Json tasks = Json::array();
  for (const MixtureTask& task : mixture.tasks) {
    tasks.push_back(Json::object(
        {{"task", task.config.task}, {"size", task.config.size}, {"weight", task.weight}}));
  }
  return Json::object({{"source", "mixture"},
                       {"tasks", tasks},
                       {"conversation_share", mixture.conversation_share},
                       {"thinking_share", mixture.thinking_share},
                       {"split", static_cast<int>(mixture.split)},
                       {"documents", config_.documents},
                       {"seed", as_text(config_.seed)}});
}

}  // namespace fathom
