#include "nn/kv_cache.h"

#include <algorithm>

#include "runtime/elementwise.h"

namespace fathom {

KvCache::KvCache(Allocator& memory, const KvCacheShape& shape, int64_t pages, DType dtype)
    : shape_(shape), references_(static_cast<size_t>(pages), 0) {
  for (int64_t i = 0; i < shape.layers; ++i)
    layers_.emplace_back(memory, Shape{pages * shape.page_tokens, shape.width}, dtype);
  for (int64_t page = pages; page-- > 0;) free_.push_back(static_cast<int32_t>(page));
}

int32_t KvCache::take() {
  const int32_t page = free_.back();
  free_.pop_back();
  references_[static_cast<size_t>(page)] = 1;
  return page;
}

void KvCache::drop(int32_t page) {
  if (--references_[static_cast<size_t>(page)] == 0) free_.push_back(page);
}

int64_t KvCache::pages_needed(const PagedSequence& sequence, int64_t rows) const {
  const auto held = static_cast<int64_t>(sequence.pages.size());
  const bool ends_inside = sequence.length % shape_.page_tokens != 0;
  const bool copies =
      rows > 0 && ends_inside && references_[static_cast<size_t>(sequence.pages.back())] > 1;
  return pages_for(sequence.length + rows) - held + (copies ? 1 : 0);
}

bool KvCache::extend(Pass& pass, PagedSequence& sequence, int64_t rows) {
  if (pages_needed(sequence, rows) > free_pages()) return false;
  const bool ends_inside = sequence.length % shape_.page_tokens != 0;
  if (rows > 0 && ends_inside && references_[static_cast<size_t>(sequence.pages.back())] > 1) {
    const int32_t shared = sequence.pages.back();
    const int32_t own = take();
    for (Tensor& layer : layers_) {
      const Tensor from =
          layer.rows_at(shared * shape_.page_tokens, sequence.length % shape_.page_tokens);
      Tensor to = layer.rows_at(own * shape_.page_tokens, sequence.length % shape_.page_tokens);
      copy_into(pass, from, to);
    }
    drop(shared);
    sequence.pages.back() = own;
  }
  while (static_cast<int64_t>(sequence.pages.size()) < pages_for(sequence.length + rows))
    sequence.pages.push_back(take());
  return true;
}

PagedSequence KvCache::fork(const PagedSequence& sequence) {
  for (int32_t page : sequence.pages) ++references_[static_cast<size_t>(page)];
  return sequence;
}

void KvCache::release(PagedSequence& sequence) {
  for (int32_t page : sequence.pages) drop(page);
  sequence = {};
}

}  // namespace fathom
