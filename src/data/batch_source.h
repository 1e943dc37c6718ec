// Training batches by number: a source answers for any step, so a run resumes with nothing but the
// step.
//
// The rows or documents of a step depend on (seed, step) alone, never on how the step is cut:
// microbatches and ranks are parts of the same step.  Threads: one caller at a time.  Lifetime: a
// source owns its data.
#pragma once

#include <cstdint>
#include <vector>

#include "data/packing.h"
#include "data/tasks.h"
#include "io/json.h"

namespace fathom {

// One of `count` consecutive, nearly equal parts of a step.
struct StepPart {
  int64_t index = 0;
  int64_t count = 1;
};

class BatchSource {
 public:
  virtual ~BatchSource() = default;

  // Empty (no tokens) where a step has fewer rows or documents than parts.
  virtual Batch batch(int64_t step, const StepPart& part) = 0;

  // The most tokens that one of `parts` of a step has, of all steps before `steps`; 0 where that is
  // not known.
  virtual int64_t most_tokens(int64_t steps, int64_t parts) = 0;

  // What the batches depend on. A resumed run compares it with the saved one: equal means the same
  // batches.
  virtual Json identity() const = 0;
};

enum class WindowOrder {
  kRandom,    // each row begins anywhere
  kShuffled,  // every pass sees each window once, in a new order and cut at a new offset
};

struct WindowConfig {
  int64_t row_tokens = 256;
  int64_t rows = 16;  // per step
  WindowOrder order = WindowOrder::kRandom;
  uint64_t seed = 0;
  PackingConfig packing = {};
};

// Rows of equal length from one stream of text; each is a sequence.
class WindowSource : public BatchSource {
 public:
  WindowSource(Document stream, const WindowConfig& config);
  Batch batch(int64_t step, const StepPart& part) override;
  int64_t most_tokens(int64_t steps, int64_t parts) override;
  Json identity() const override;

 private:
  int64_t first_token(int64_t step, int64_t row) const;

  Document stream_;
  WindowConfig config_;
};

struct DocumentBatchConfig {
  // Exactly one of the two is set: documents per step, or tokens per step at most.
  int64_t documents = 0;
  int64_t token_budget = 0;
  bool shuffle = true;  // off: in the order given, again and again
  uint64_t seed = 0;
  PackingConfig packing = {};
};

// Whole documents; each is a sequence. Every pass sees each document once.
class DocumentSource : public BatchSource {
 public:
  DocumentSource(std::vector<Document> documents, const DocumentBatchConfig& config);
  Batch batch(int64_t step, const StepPart& part) override;
  int64_t most_tokens(int64_t steps, int64_t parts) override;
  Json identity() const override;

 private:
  const Document& document_at(int64_t place) const;  // of the endless walk
  int64_t first_place(int64_t step);

  std::vector<Document> documents_;
  DocumentBatchConfig config_;
  std::vector<int64_t>
      first_places_;  // token_budget: where each step begins, as far as it was asked
};

struct MixtureBatchConfig {
  int64_t documents = 64;  // per step
  uint64_t seed = 0;
  PackingConfig packing = {};
};

// Documents made on the spot; each is a sequence.
class MixtureSource : public BatchSource {
 public:
  MixtureSource(Tokenizer tokenizer, const MixtureConfig& mixture,
                const MixtureBatchConfig& config);
  Batch batch(int64_t step, const StepPart& part) override;
  int64_t most_tokens(int64_t, int64_t) override { return 0; }
  Json identity() const override;

 private:
  Tokenizer tokenizer_;
  TaskMixture mixture_;
  MixtureBatchConfig config_;
};

}  // namespace fathom
