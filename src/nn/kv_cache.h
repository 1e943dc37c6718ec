// The paged cache: where sequences live between passes.
//
// A page holds `page_tokens` rows of every layer. A row is K and V of all key/value heads (mha,
// gqa, mqa), or the latent and the rotary key of MLA. Pages are reference counted: sequences that
// share a prefix share its full pages; a page that is shared is copied before it is written.
// Threads: one; passes of several threads may write rows of different sequences at once.
// Lifetime: the allocator outlives the cache; sequences give their pages back with
// release().
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/batch.h"
#include "runtime/pass.h"

namespace fathom {

struct KvCacheShape {
  int64_t layers = 0;
  int64_t width = 0;  // elements of one token in one layer
  int64_t page_tokens = 16;
};

class KvCache {
 public:
  // Room for `pages` pages, allocated at once.
  KvCache(Allocator& memory, const KvCacheShape& shape, int64_t pages, DType dtype = DType::kF32);

  const KvCacheShape& shape() const { return shape_; }
  int64_t pages() const { return static_cast<int64_t>(references_.size()); }
  int64_t free_pages() const { return static_cast<int64_t>(free_.size()); }
  int64_t pages_for(int64_t tokens) const {
    return (tokens + shape_.page_tokens - 1) / shape_.page_tokens;
  }
  // Pages that extend(sequence, rows) would take.
  int64_t pages_needed(const PagedSequence& sequence, int64_t rows) const;

  // Makes room for `rows` more tokens: takes pages, and copies a shared last page. False (and
  // nothing changed) when the cache is full.
  bool extend(Pass& pass, PagedSequence& sequence, int64_t rows);
  // A sequence with the same tokens, sharing all pages.
  PagedSequence fork(const PagedSequence& sequence);
  // Gives all pages back.
  void release(PagedSequence& sequence);

  // [pages · page_tokens, width] of one layer; row page · page_tokens + i is place i of that page.
  Tensor& layer(int64_t index) { return layers_[static_cast<size_t>(index)]; }

 private:
  int32_t take();
  void drop(int32_t page);

  KvCacheShape shape_;
  std::vector<Tensor> layers_;
  std::vector<int32_t> references_;  // [pages]
  std::vector<int32_t> free_;
};

}  // namespace fathom
