#include "nn/row_context.h"

#include "ops/select_rows/select_rows.h"

namespace fathom {
namespace {

// The cache row of each new token, sequence by sequence.
std::vector<int32_t> cache_rows(const TokenLayout& layout, int64_t page_tokens) {
  std::vector<int32_t> rows;
  rows.reserve(static_cast<size_t>(layout.tokens()));
  for (int64_t s = 0; s < layout.sequences(); ++s) {
    const PagedSequence& sequence = *layout.cached[static_cast<size_t>(s)];
    const int64_t count =
        layout.starts[static_cast<size_t>(s) + 1] - layout.starts[static_cast<size_t>(s)];
    for (int64_t place = sequence.length; place < sequence.length + count; ++place) {
      const int64_t page = sequence.pages[static_cast<size_t>(place / page_tokens)];
      rows.push_back(static_cast<int32_t>(page * page_tokens + place % page_tokens));
    }
  }
  return rows;
}

std::vector<PagedSpan> paged_spans(const TokenLayout& layout) {
  std::vector<PagedSpan> spans;
  for (int64_t s = 0; s < layout.sequences(); ++s) {
    const PagedSequence& sequence = *layout.cached[static_cast<size_t>(s)];
    const int64_t begin = layout.starts[static_cast<size_t>(s)];
    const int64_t count = layout.starts[static_cast<size_t>(s) + 1] - begin;
    spans.push_back({begin, count, sequence.length + count, sequence.pages.data()});
  }
  return spans;
}

void check_positions(const TokenLayout& layout, int64_t limit) {
  for (const int32_t position : layout.positions) {
    FATHOM_CHECK(position >= 0 && position < limit, "layout: a row has position ", position,
                 "; this model was made for positions below max_position_embeddings = ", limit,
                 ". Shorten the sequence");
  }
}

}  // namespace

RowContext make_row_context(Pass& pass, const TokenLayout& layout, KvCache* cache,
                            const RotaryPositions& rotary, DType dtype) {
  FATHOM_CHECK(static_cast<int64_t>(layout.positions.size()) == layout.tokens(),
               "layout: ", layout.positions.size(), " positions for ", layout.tokens(), " rows");
  check_positions(layout, rotary.limit);
  RowContext context;
  context.starts = layout.starts;
  context.angles = rope_angles(pass, layout.positions, rotary.inv_freq, dtype, rotary.magnitude);
  context.cache = cache;
  if (cache == nullptr) return context;
  FATHOM_CHECK(static_cast<int64_t>(layout.cached.size()) == layout.sequences(),
               "layout: ", layout.cached.size(), " cached sequences for ", layout.sequences());
  int64_t continuing = 0;
  for (const PagedSequence* sequence : layout.cached) continuing += sequence->length > 0 ? 1 : 0;
  FATHOM_CHECK(continuing == 0 || continuing == layout.sequences(), "layout: ", continuing, " of ",
               layout.sequences(),
               " sequences continue; fresh and continuing sequences go in passes of their own");
  context.continues = continuing > 0;
  context.slots = index_tensor(pass, cache_rows(layout, cache->shape().page_tokens));
  if (context.continues) context.spans = paged_spans(layout);
  return context;
}

}  // namespace fathom
