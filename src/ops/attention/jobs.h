// One thread's piece of attention, as plain pointers: some query rows over the keys and values of
// one key/value head. Shared by packed and paged attention and by every instruction set.
#pragma once

#include <cstdint>

namespace fathom {

// Keys are taken in blocks that begin at multiples of this place in the sequence, however rows are
// cut into jobs: so a row's sums are grouped the same way in training, prefill and decode.
constexpr int64_t kKeyBlock = 128;

// Keys and values of one head, by place in the sequence.
struct KeyRows {
  const float* key = nullptr;
  const float* value = nullptr;
  int64_t key_row = 0, value_row = 0;  // elements between two rows of memory
  const int32_t* pages = nullptr;      // null: place and row are the same
  int64_t page_tokens = 1;

  int64_t row(int64_t place) const {
    return pages == nullptr ? place
                            : pages[place / page_tokens] * page_tokens + place % page_tokens;
  }
  // How many places from `place` on, at most up to `end`, lie in neighbouring rows.
  int64_t run(int64_t place, int64_t end) const {
    const int64_t left = pages == nullptr ? end - place : page_tokens - place % page_tokens;
    return left < end - place ? left : end - place;
  }
};

// Query rows in sets: the tokens of each head, or the heads of each token. Row r of set s sees the
// places [0, limit(s, r)), which never shrink with r. With few rows (below) a job takes several
// key/value heads, each of which has such sets.
struct QueryRows {
  const float* q = nullptr;
  float* out = nullptr;
  int64_t sets = 0, rows = 0;
  int64_t q_set = 0, q_row = 0;  // elements from one set or row to the next
  int64_t out_set = 0, out_row = 0;
  int64_t first_limit = 0, limit_set = 0, limit_row = 0;
  int64_t kv_heads = 1, q_head = 0, out_head = 0;  // and elements from one to the next

  int64_t limit(int64_t set, int64_t row) const {
    return first_limit + set * limit_set + row * limit_row;
  }
  int64_t places() const { return limit(sets - 1, rows - 1); }
};

constexpr int64_t kFewRows = 8;  // of one key/value head: up to here few_rows is no slower

struct AttendJob {
  QueryRows queries;
  KeyRows keys;
  int64_t qk_dim = 0, v_dim = 0;
  float scale = 0;  // of q · k
  // Keys and values are read row by row instead of transposing keys, and those of neighbouring
  // key/value heads (qk_dim and v_dim apart) together. Rounds differently; whoever cuts the jobs
  // decides from their shape alone.
  bool few_rows = false;
  float* lse = nullptr;  // log-sum-exp at set · lse_set + row · lse_row; null: not wanted
  int64_t lse_set = 0, lse_row = 0;

  int64_t query_rows() const { return queries.kv_heads * queries.sets * queries.rows; }
};

// The result of some rows over one block of keys: numerators' weighted sum of values, their plain
// sum, and the exponent (of two) of the largest score, which both were divided by.
struct AttendPart {
  float* mixed = nullptr;  // [query_rows(), v_dim]
  float* sum = nullptr;    // [query_rows()]
  float* top = nullptr;    // [query_rows()]
};

// Memory that a job needs beside its part: transposed keys, one tile's scores and results, sums.
constexpr int64_t kMostTileRows = 8, kMostLanes = 16;
inline int64_t attend_scratch_floats(int64_t query_rows, int64_t qk_dim, int64_t v_dim) {
  return qk_dim * kKeyBlock + kMostTileRows * (kKeyBlock + v_dim + kMostLanes) + 2 * query_rows +
         4 * kMostLanes;
}

// The gradients of one sequence and one key/value head, whose query heads are neighbours.
struct AttendBackwardJob {
  const float* q = nullptr;  // row 0 of the sequence, first query head of the group
  const float* k = nullptr;
  const float* v = nullptr;
  const float* out = nullptr;
  const float* lse = nullptr;
  const float* dout = nullptr;
  float* dq = nullptr;
  float* dk = nullptr;
  float* dv = nullptr;
  // elements between two rows
  int64_t q_row = 0, k_row = 0, v_row = 0, out_row = 0, lse_row = 0, dout_row = 0;
  int64_t dq_row = 0, dk_row = 0, dv_row = 0;
  int64_t rows = 0, group = 0;
  int64_t qk_dim = 0, v_dim = 0;
  float scale = 0;
};

constexpr int64_t kBackwardBlock = 64;  // keys, and query rows, whose products are held at once
inline int64_t backward_scratch_floats(const AttendBackwardJob& job) {
  return (job.qk_dim + job.v_dim + 2 * kBackwardBlock) * kBackwardBlock + 2 * job.group * job.rows;
}

}  // namespace fathom
