// What every layer of one pass needs to know about its rows: sequences, rotary angles, places in
// the cache.
//
// Built once per pass by make_row_context and shared by all layers.
#pragma once

#include <span>
#include <vector>

#include "nn/kv_cache.h"
#include "ops/rope/rope.h"

namespace fathom {

// How positions turn into angles in a model.
struct RotaryPositions {
  std::vector<double> inv_freq;  // [rotated columns / 2], radians a position
  double magnitude = 1;          // of cos and sin
  int64_t limit = 0;             // max_position_embeddings: positions are below it
};

struct RowContext {
  std::span<const int32_t> starts;  // [sequences + 1]
  RopeAngles angles;
  KvCache* cache = nullptr;  // null in training
  bool continues = false;    // sequences have cached tokens before these rows: attend over pages
  Tensor slots;              // [tokens] i32, the cache row of each row; only with a cache
  std::vector<PagedSpan> spans;  // only when `continues`
  std::span<const float>
      sequence_share;  // [sequences], the part of each in the step's normaliser; may be empty
};

// The layout must outlive the context. With a cache, either every sequence is fresh (its tokens
// attend to each other only) or every one continues; the cache has room already (KvCache::extend).
// A position at or beyond the limit is refused.
RowContext make_row_context(Pass& pass, const TokenLayout& layout, KvCache* cache,
                            const RotaryPositions& rotary, DType dtype);

}  // namespace fathom
