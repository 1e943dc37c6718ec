// Sequences side by side in one batch, without padding; attention never crosses from one to the
// next.
//
// Each row predicts the token after it in its own sequence; depth k of the multi-token heads
// predicts k places further.
// Threads: one caller at a time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/documents.h"
#include "runtime/batch.h"

namespace fathom {

struct PackingConfig {
  int64_t num_nextn_predict_layers = 0;  // multi-token heads to make targets for
  // A row behind which its sequence ends predicts nothing and nobody reads it: it is left out,
  // unless this asks for it.
  bool keep_rows_without_target = false;
};

class BatchBuilder {
 public:
  explicit BatchBuilder(const PackingConfig& config);

  // Adds a sequence; its positions start at 0. Only the first `rows` tokens become rows, those
  // behind are targets.
  //   ids, weights  [tokens]  the weight of an id is that of predicting it
  void add(std::span<const int32_t> ids, std::span<const float> weights, int64_t rows);
  void add(const Document& document) { add(document.ids, document.weights, document.tokens()); }

  Batch finish();  // the builder is empty again

 private:
  // Which rows of the sequence being added made it into a depth, as (place in the sequence, row of
  // that depth).
  struct Placed {
    int64_t place;
    int32_t row;
  };
  std::vector<Placed> add_rows(std::span<const int32_t> ids, std::span<const float> weights,
                               int64_t rows);
  std::vector<Placed> add_depth(std::span<const int32_t> ids, std::span<const float> weights,
                                int64_t depth, const std::vector<Placed>& previous);
  bool keeps(int64_t target, std::span<const int32_t> ids) const;

  PackingConfig config_;
  Batch batch_;
};

// `documents` in order, as batches of at most `token_budget` tokens each
// (documents counted whole). For validation; fails on a document above the budget.
std::vector<Batch> pack_in_order(const std::vector<Document>& documents, int64_t token_budget,
                                 const PackingConfig& config);

// The stream in order as rows of `row_tokens` (the last may be shorter), `rows_per_batch` in a
// batch. Every token but the first is predicted exactly once.
std::vector<Batch> windows_in_order(const Document& stream, int64_t row_tokens,
                                    int64_t rows_per_batch, const PackingConfig& config);

// Adds the window of the stream that begins at `first`: at most `row_tokens` rows, all with a
// target.
void add_window(BatchBuilder& builder, const Document& stream, int64_t first, int64_t row_tokens,
                const PackingConfig& config);

}  // namespace fathom
