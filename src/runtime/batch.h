// Where data and model meet: token ids, how rows fall into sequences, and what each row should
// predict.
//
// Made by `data`, `generate` and `align`; read by `model`. Plain values, no tensors.
#pragma once

#include <cstdint>
#include <vector>

namespace fathom {

// One sequence's place in a paged cache. Rolling back is shortening `length` and dropping pages.
struct PagedSequence {
  std::vector<int32_t> pages;
  int64_t length = 0;  // tokens already stored; the rows of the running pass come after them
};

// How the rows of a pass fall into sequences. Attention never crosses from one to another.
struct TokenLayout {
  std::vector<int32_t>
      starts;  // [sequences + 1], first row of each; the last entry is the row count
  std::vector<int32_t> positions;      // [tokens], rotary position of each row
  std::vector<PagedSequence*> cached;  // [sequences], or empty where there is no cache (training)

  int64_t sequences() const { return static_cast<int64_t>(starts.size()) - 1; }
  int64_t tokens() const { return starts.empty() ? 0 : starts.back(); }
};

constexpr int32_t kNoTarget = -1;

// What one multi-token head of depth k reads and predicts. Its rows are a subset of the rows of
// depth k − 1: row r joins the hidden state of row `rows[r]` with the embedding of `ids[r]`, the
// token k places later.
struct MultiTokenTargets {
  std::vector<int32_t> rows;     // [rows], indices into the previous depth's rows, ascending
  std::vector<int32_t> ids;      // [rows]
  TokenLayout layout;            // over these rows
  std::vector<int32_t> targets;  // [rows], the token k + 1 places later, or kNoTarget
  std::vector<float> weights;    // [rows], 0 where there is no target
};

// One microbatch.
struct Batch {
  std::vector<int32_t> ids;  // [tokens]
  TokenLayout layout;
  std::vector<int32_t> targets;  // [tokens], the next token of the same sequence, or kNoTarget
  std::vector<float> weights;    // [tokens], loss weight; 0 where there is no target
  std::vector<MultiTokenTargets> multi_token;  // [num_nextn_predict_layers]

  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
  double weight_sum() const {
    double sum = 0;
    for (float w : weights) sum += w;
    return sum;
  }
};

}  // namespace fathom
