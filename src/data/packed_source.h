// Training rows from packed text of any size.
//
// The stream is cut into as many segments as rows are held out; the last row of each is one of
// those, so that they come from everywhere and never from what was trained on. The rest is walked
// in windows: every pass sees each once, in a new order, cut at a new offset. Which windows a step
// gets depends on (seed, step) alone.
// Threads: one at a time. Lifetime: owns its data.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/batch_source.h"
#include "data/packed_text.h"

namespace fathom {

struct PackedSourceConfig {
  int64_t row_tokens = 256;
  int64_t rows = 16;  // per step
  int64_t held_out_rows = 0;
  uint64_t seed = 0;
  PackingConfig packing = {};
};

// How many rows hold `share` of `tokens`, at least one and together at most `most_tokens`.
int64_t held_out_rows(int64_t tokens, int64_t row_tokens, double share, int64_t most_tokens);

class PackedSource : public BatchSource {
 public:
  // Fails where the text is too short for one window a segment.
  PackedSource(std::unique_ptr<PackedText> text, const PackedSourceConfig& config);

  Batch batch(int64_t step, const StepPart& part) override;
  int64_t most_tokens(int64_t steps, int64_t parts) override;
  Json identity() const override;

  int64_t train_tokens() const;  // that a pass may see
  // The rows that are never trained on.
  std::vector<Batch> held_out(int64_t rows_per_batch);

 private:
  int64_t segment_begin(int64_t segment) const { return segment * segment_tokens_; }
  int64_t first_token(int64_t step, int64_t row) const;
  void add_row(BatchBuilder& builder, int64_t first, int64_t end);
  int64_t segment_end(int64_t token) const;

  std::unique_ptr<PackedText> text_;
  PackedSourceConfig config_;
  int64_t segments_, segment_tokens_;
  int64_t usable_;   // tokens at the front of each segment that are trained on
  int64_t windows_;  // in each segment
};

// Rows from everywhere in a text that is not trained on: `rows` of them at even distances.
std::vector<Batch> spread_rows(PackedText& text, int64_t row_tokens, int64_t rows,
                               int64_t rows_per_batch, const PackingConfig& packing);

}  // namespace fathom
