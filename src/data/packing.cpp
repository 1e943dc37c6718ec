#include "data/packing.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace fathom {
namespace {

// The target at this place of the sequence, with its weight, or no target behind the end.
void put_target(std::span<const int32_t> ids, std::span<const float> weights, int64_t place,
                std::vector<int32_t>& targets, std::vector<float>& target_weights) {
  const size_t at = static_cast<size_t>(place);
  const bool inside = at < ids.size();
  targets.push_back(inside ? ids[at] : kNoTarget);
  target_weights.push_back(inside ? weights[at] : 0.0f);
}

void open_layout(TokenLayout& layout) { layout.starts.push_back(0); }

// Sequences without rows are not listed: kernels may count on at least one.
void close_sequence(TokenLayout& layout) {
  const int32_t rows = static_cast<int32_t>(layout.positions.size());
  if (rows > layout.starts.back()) layout.starts.push_back(rows);
}

}  // namespace

BatchBuilder::BatchBuilder(const PackingConfig& config) : config_(config) {
  FATHOM_CHECK(config.num_nextn_predict_layers >= 0, "packing: num_nextn_predict_layers is ",
               config.num_nextn_predict_layers);
  finish();
}

Batch BatchBuilder::finish() {
  Batch done = std::exchange(batch_, Batch{});
  open_layout(batch_.layout);
  batch_.multi_token.resize(static_cast<size_t>(config_.num_nextn_predict_layers));
  for (MultiTokenTargets& head : batch_.multi_token) open_layout(head.layout);
  return done;
}

void BatchBuilder::add(std::span<const int32_t> ids, std::span<const float> weights, int64_t rows) {
  FATHOM_CHECK(ids.size() == weights.size(), "packing: ", ids.size(), " ids but ", weights.size(),
               " weights");
  FATHOM_CHECK(rows >= 0 && rows <= static_cast<int64_t>(ids.size()), "packing: ", rows,
               " rows of a sequence of ", ids.size(), " tokens");
  std::vector<Placed> placed = add_rows(ids, weights, rows);
  for (int64_t depth = 1; depth <= config_.num_nextn_predict_layers; ++depth) {
    placed = add_depth(ids, weights, depth, placed);
  }
}

bool BatchBuilder::keeps(int64_t target, std::span<const int32_t> ids) const {
  return config_.keep_rows_without_target || target < static_cast<int64_t>(ids.size());
}

std::vector<BatchBuilder::Placed> BatchBuilder::add_rows(std::span<const int32_t> ids,
                                                         std::span<const float> weights,
                                                         int64_t rows) {
  std::vector<Placed> placed;
  for (int64_t place = 0; place < rows && keeps(place + 1, ids); ++place) {
    placed.push_back({place, static_cast<int32_t>(batch_.ids.size())});
    batch_.ids.push_back(ids[static_cast<size_t>(place)]);
    batch_.layout.positions.push_back(static_cast<int32_t>(place));
    put_target(ids, weights, place + 1, batch_.targets, batch_.weights);
  }
  close_sequence(batch_.layout);
  return placed;
}

std::vector<BatchBuilder::Placed> BatchBuilder::add_depth(std::span<const int32_t> ids,
                                                          std::span<const float> weights,
                                                          int64_t depth,
                                                          const std::vector<Placed>& previous) {
  MultiTokenTargets& head = batch_.multi_token[static_cast<size_t>(depth - 1)];
  std::vector<Placed> placed;
  for (const Placed& row : previous) {
    const int64_t input = row.place + depth;  // the token whose embedding joins the row
    if (input >= static_cast<int64_t>(ids.size()) || !keeps(input + 1, ids)) break;
    placed.push_back({row.place, static_cast<int32_t>(head.ids.size())});
    head.rows.push_back(row.row);
    head.ids.push_back(ids[static_cast<size_t>(input)]);
    head.layout.positions.push_back(static_cast<int32_t>(row.place));
    put_target(ids, weights, input + 1, head.targets, head.weights);
  }
  close_sequence(head.layout);
  return placed;
}

void add_window(BatchBuilder& builder, const Document& stream, int64_t first, int64_t row_tokens,
                const PackingConfig& config) {
  const int64_t rows = std::min(row_tokens, stream.tokens() - 1 - first);
  FATHOM_CHECK(first >= 0 && rows > 0, "packing: a window at ", first, " of a stream of ",
               stream.tokens(), " tokens");
  const int64_t seen =
      std::min(rows + 1 + config.num_nextn_predict_layers, stream.tokens() - first);
  const auto part = [&](const auto& values) {
    return std::span(values).subspan(static_cast<size_t>(first), static_cast<size_t>(seen));
  };
  builder.add(part(stream.ids), part(stream.weights), rows);
}

std::vector<Batch> windows_in_order(const Document& stream, int64_t row_tokens,
                                    int64_t rows_per_batch, const PackingConfig& config) {
  FATHOM_CHECK(row_tokens > 0 && rows_per_batch > 0, "windows_in_order: ", rows_per_batch,
               " rows of ", row_tokens, " tokens");
  std::vector<Batch> batches;
  BatchBuilder builder(config);
  int64_t rows = 0;
  for (int64_t first = 0; first + 1 < stream.tokens(); first += row_tokens) {
    add_window(builder, stream, first, row_tokens, config);
    if (++rows % rows_per_batch == 0) batches.push_back(builder.finish());
  }
  if (rows % rows_per_batch != 0) batches.push_back(builder.finish());
  return batches;
}

std::vector<Batch> pack_in_order(const std::vector<Document>& documents, int64_t token_budget,
                                 const PackingConfig& config) {
  std::vector<Batch> batches;
  BatchBuilder builder(config);
  int64_t tokens = 0;
  for (const Document& document : documents) {
    if (document.tokens() > token_budget) {
      fail(ErrorCode::kRuntime, "packing: a document of ", document.tokens(),
           " tokens does not fit ", token_budget,
           " tokens; raise the budget or split the document");
    }
    if (tokens > 0 && tokens + document.tokens() > token_budget) {
      batches.push_back(builder.finish());
      tokens = 0;
    }
    builder.add(document);
    tokens += document.tokens();
  }
  if (tokens > 0) batches.push_back(builder.finish());
  return batches;
}

}  // namespace fathom
