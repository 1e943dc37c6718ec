#include "data/packed_source.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "data/shuffle.h"

namespace fathom {
namespace {

// A row that begins at `first`; its targets, also those of multi-token heads, end before `end`.
void add_packed_row(PackedText& text, BatchBuilder& builder, int64_t first, int64_t end,
                    int64_t row_tokens, const PackingConfig& packing) {
  const int64_t rows = std::min(row_tokens, end - 1 - first);
  const int64_t seen = std::min(rows + 1 + packing.num_nextn_predict_layers, end - first);
  std::vector<int32_t> ids(static_cast<size_t>(seen));
  text.read(first, ids);
  builder.add(ids, std::vector<float>(ids.size(), 1.0f), rows);
}

std::vector<Batch> in_batches(int64_t rows, int64_t rows_per_batch, const PackingConfig& packing,
                              const auto& add_row) {
  std::vector<Batch> batches;
  BatchBuilder builder(packing);
  for (int64_t row = 0; row < rows; ++row) {
    add_row(builder, row);
    if ((row + 1) % rows_per_batch == 0 || row + 1 == rows) batches.push_back(builder.finish());
  }
  return batches;
}

}  // namespace

int64_t held_out_rows(int64_t tokens, int64_t row_tokens, double share, int64_t most_tokens) {
  const double wanted =
      std::min(static_cast<double>(tokens) * share, static_cast<double>(most_tokens));
  return std::max<int64_t>(1, static_cast<int64_t>(wanted) / row_tokens);
}

PackedSource::PackedSource(std::unique_ptr<PackedText> text, const PackedSourceConfig& config)
    : text_(std::move(text)), config_(config) {
  FATHOM_CHECK(config.row_tokens > 0 && config.rows > 0 && config.held_out_rows >= 0,
               "packed rows: ", config.rows, " of ", config.row_tokens, " tokens, ",
               config.held_out_rows, " held out");
  segments_ = std::max<int64_t>(1, config.held_out_rows);
  segment_tokens_ = text_->tokens() / segments_;
  const int64_t held = config.held_out_rows > 0 ? config.row_tokens + 1 : 0;
  usable_ = segment_tokens_ - held;
  windows_ = std::max<int64_t>(0, usable_ - 1) / config.row_tokens;
  if (windows_ < 1) {
    fail(ErrorCode::kRuntime, "data: the packed text has ", text_->tokens(), " tokens; rows of ",
         config.row_tokens, ", ", config.held_out_rows, " of them held out, need at least ",
         segments_ * (config.row_tokens + 1 + held),
         ". Give more text, or lower --row-tokens or --holdout");
  }
}

int64_t PackedSource::train_tokens() const { return usable_ * segments_; }

int64_t PackedSource::first_token(int64_t step, int64_t row) const {
  const auto windows = static_cast<uint64_t>(windows_ * segments_);
  const auto place = static_cast<uint64_t>(step * config_.rows + row);
  const auto window = static_cast<int64_t>(shuffled_element(config_.seed, place, windows));
  const auto slack = static_cast<uint64_t>(usable_ - windows_ * config_.row_tokens);
  const RandomKey key{
      .seed = config_.seed, .purpose = Purpose::kData, .step = place / windows, .layer = 4};
  return segment_begin(window / windows_) + static_cast<int64_t>(key.below(0, slack)) +
         window % windows_ * config_.row_tokens;
}

void PackedSource::add_row(BatchBuilder& builder, int64_t first, int64_t end) {
  add_packed_row(*text_, builder, first, end, config_.row_tokens, config_.packing);
}

int64_t PackedSource::segment_end(int64_t token) const {
  return segment_begin(token / segment_tokens_) + usable_;
}

Batch PackedSource::batch(int64_t step, const StepPart& part) {
  FATHOM_CHECK(step >= 0, "batch: step ", step, " is negative");
  FATHOM_CHECK(part.count > 0 && part.index >= 0 && part.index < part.count, "batch: part ",
               part.index, " of ", part.count);
  const int64_t begin = config_.rows * part.index / part.count;
  const int64_t end = config_.rows * (part.index + 1) / part.count;
  BatchBuilder builder(config_.packing);
  for (int64_t row = begin; row < end; ++row) {
    const int64_t first = first_token(step, row);
    add_row(builder, first, segment_end(first));
    text_->will_need(first_token(step + 1, row), config_.row_tokens + 1);
  }
  return builder.finish();
}

int64_t PackedSource::most_tokens(int64_t, int64_t parts) {
  return (config_.rows + parts - 1) / parts * config_.row_tokens;
}

Json PackedSource::identity() const {
  return Json::object({{"source", "packed"},
                       {"tokens", text_->tokens()},
                       {"content", hash_as_text(text_->content_hash())},
                       {"row_tokens", config_.row_tokens},
                       {"rows", config_.rows},
                       {"held_out_rows", config_.held_out_rows},
                       {"seed", concat(config_.seed)}});
}

std::vector<Batch> PackedSource::held_out(int64_t rows_per_batch) {
  return in_batches(config_.held_out_rows, rows_per_batch, config_.packing,
                    [this](BatchBuilder& builder, int64_t row) {
                      add_row(builder, segment_begin(row) + usable_, segment_begin(row + 1));
                    });
}

std::vector<Batch> spread_rows(PackedText& text, int64_t row_tokens, int64_t rows,
                               int64_t rows_per_batch, const PackingConfig& packing) {
  if (text.tokens() < 2) fail(ErrorCode::kRuntime, "data: the held-out text has no two tokens");
  rows = std::clamp<int64_t>(rows, 1, std::max<int64_t>(1, (text.tokens() - 1) / row_tokens));
  const int64_t distance = text.tokens() / rows;
  return in_batches(rows, rows_per_batch, packing, [&](BatchBuilder& builder, int64_t row) {
    const int64_t first = row * distance;
    add_packed_row(text, builder, first, first + distance, row_tokens, packing);
  });
}

}  // namespace fathom
