#include "text/bpe.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <functional>
#include <optional>
#include <queue>
#include <utility>

#include "base/error.h"
#include "text/byte_symbols.h"
#include "text/utf8.h"

namespace fathom {
namespace {

constexpr size_t kShortPiece = 48;  // symbols; above this the heap is faster
constexpr uint32_t kNoRank = ~uint32_t{0};

uint64_t pair_key(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

uint64_t mix(uint64_t value) {
  value *= 0x9E3779B97F4A7C15u;
  return value ^ value >> 32;
}

uint32_t hash_bytes(std::string_view bytes) {
  uint64_t hash = bytes.size();
  size_t at = 0;
  for (uint64_t word; at + 8 <= bytes.size(); at += 8) {
    std::memcpy(&word, bytes.data() + at, 8);
    hash = mix(hash ^ word);
  }
  uint64_t tail = 0;
  std::memcpy(&tail, bytes.data() + at, bytes.size() - at);
  return static_cast<uint32_t>(mix(hash ^ tail));
}

// Slots for an open-addressing table that stays at most 60 % full.
size_t table_size(size_t entries) { return std::bit_ceil(entries * 5 / 3 + 2); }

// What a token stands for; nothing where a piece of text can never be it.
std::optional<std::string> piece_of(const VocabEntry& entry, SymbolKind kind) {
  if (kind == SymbolKind::kCharacters) return entry.symbol;
  return symbols_to_bytes(entry.symbol);
}

}  // namespace

BpeModel::BpeModel(SymbolKind kind, const std::vector<VocabEntry>& vocab,
                   const std::vector<Merge>& merges, bool ignore_merges)
    : kind_(kind), ignore_merges_(ignore_merges) {
  byte_ids_.fill(-1);
  add_tokens(vocab);
  if (kind_ == SymbolKind::kBytes) check_bytes();
  add_merges(merges);
}

void BpeModel::add_tokens(const std::vector<VocabEntry>& vocab) {
  int32_t highest = -1;
  for (const VocabEntry& entry : vocab) highest = std::max(highest, entry.id);
  const size_t ids = static_cast<size_t>(highest + 1);
  std::vector<std::string> pieces(ids);
  for (const VocabEntry& entry : vocab) {
    std::optional<std::string> piece = piece_of(entry, kind_);
    if (!piece) continue;
    if (kind_ == SymbolKind::kBytes && piece->size() == 1) {
      byte_ids_[static_cast<unsigned char>(piece->front())] = entry.id;
    } else if (kind_ == SymbolKind::kCharacters) {
      size_t at = 0;
      const char32_t character = next_code_point(*piece, at);
      if (at == piece->size()) character_ids_[character] = entry.id;
    }
    pieces[static_cast<size_t>(entry.id)] = std::move(*piece);
  }
  index_tokens(pieces);
}

void BpeModel::index_tokens(const std::vector<std::string>& pieces) {
  token_begin_.assign(1, 0);
  for (const std::string& piece : pieces) {
    token_bytes_ += piece;
    token_begin_.push_back(static_cast<uint32_t>(token_bytes_.size()));
    longest_token_ = std::max(longest_token_, piece.size());
  }
  whole_ = std::make_unique<std::atomic<Whole>[]>(pieces.size());
  tokens_.resize(table_size(pieces.size()));
  for (size_t id = 0; id < pieces.size(); ++id) {
    if (pieces[id].empty()) continue;
    const uint32_t hash = hash_bytes(pieces[id]);
    size_t slot = hash & (tokens_.size() - 1);
    while (tokens_[slot].id >= 0) slot = (slot + 1) & (tokens_.size() - 1);
    tokens_[slot] = {hash, static_cast<int32_t>(id)};
  }
}

void BpeModel::check_bytes() const {
  for (size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    const unsigned char value = static_cast<unsigned char>(byte);
    if (byte_ids_[byte] >= 0 || !occurs_in_utf8(value)) continue;
    fail(ErrorCode::kModel, "tokenizer: the byte-level vocabulary has no symbol for byte ", byte,
         " (", describe_character(byte_symbol(value)),
         "); it must have all 243 that occur in UTF-8");
  }
}

void BpeModel::add_merges(const std::vector<Merge>& merges) {
  pairs_.resize(table_size(merges.size()));
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const Merge& merge = merges[rank];
    const uint64_t key = pair_key(merge.left, merge.right);
    size_t slot = mix(key) & (pairs_.size() - 1);
    while (pairs_[slot].key != kNoPair && pairs_[slot].key != key)
      slot = (slot + 1) & (pairs_.size() - 1);
    pairs_[slot] = {key, static_cast<uint32_t>(rank), merge.merged};
  }
}

inline const BpeModel::Pair* BpeModel::find_pair(int32_t left, int32_t right) const {
  const uint64_t key = pair_key(left, right);
  for (size_t slot = mix(key) & (pairs_.size() - 1); pairs_[slot].key != kNoPair;
       slot = (slot + 1) & (pairs_.size() - 1)) {
    if (pairs_[slot].key == key) return &pairs_[slot];
  }
  return nullptr;
}

int32_t BpeModel::find_token(std::string_view bytes) const {
  if (bytes.size() > longest_token_) return -1;
  const uint32_t hash = hash_bytes(bytes);
  for (size_t slot = hash & (tokens_.size() - 1); tokens_[slot].id >= 0;
       slot = (slot + 1) & (tokens_.size() - 1)) {
    if (tokens_[slot].hash != hash) continue;
    const size_t id = static_cast<size_t>(tokens_[slot].id);
    const size_t begin = token_begin_[id], end = token_begin_[id + 1];
    if (std::string_view(token_bytes_).substr(begin, end - begin) == bytes) return tokens_[slot].id;
  }
  return -1;
}

int32_t BpeModel::character_id(char32_t character) const {
  const auto found = character_ids_.find(character);
  return found == character_ids_.end() ? -1 : found->second;
}

// Published vocabularies hold tokens that the merges never arrive at; which, is found out when one
// is met. Threads that ask at once find the same.
bool BpeModel::is_whole(int32_t id, std::string_view bytes) const {
  if (ignore_merges_) return true;
  std::atomic<Whole>& known = whole_[static_cast<size_t>(id)];
  Whole whole = known.load(std::memory_order_relaxed);
  if (whole == Whole::kUnknown) {
    std::vector<int32_t> ids;
    merge(bytes, ids);
    whole = ids.size() == 1 && ids[0] == id ? Whole::kYes : Whole::kNo;
    known.store(whole, std::memory_order_relaxed);
  }
  return whole == Whole::kYes;
}

void BpeModel::encode(std::string_view piece, std::vector<int32_t>& ids) const {
  const int32_t id = find_token(piece);
  if (id >= 0 && is_whole(id, piece)) {
    ids.push_back(id);
  } else {
    merge(piece, ids);
  }
}

void BpeModel::merge(std::string_view piece, std::vector<int32_t>& ids) const {
  if (piece.size() <= kShortPiece) {
    int32_t symbols[kShortPiece];
    merge_short(symbols, symbols_of(piece, symbols), ids);
  } else {
    std::vector<int32_t> symbols(piece.size());
    symbols.resize(symbols_of(piece, symbols.data()));
    merge_long(symbols, ids);
  }
}

size_t BpeModel::symbols_of(std::string_view piece, int32_t* symbols) const {
  if (kind_ == SymbolKind::kBytes) {
    for (size_t i = 0; i < piece.size(); ++i)
      symbols[i] = byte_ids_[static_cast<unsigned char>(piece[i])];
    return piece.size();
  }
  size_t count = 0;
  for (size_t at = 0; at < piece.size();)
    symbols[count++] = character_id(next_code_point(piece, at));
  return count;
}

// Looks at all pairs for each merge: no memory beyond the stack, and quickest for words.
void BpeModel::merge_short(int32_t* symbols, size_t count, std::vector<int32_t>& ids) const {
  uint32_t ranks[kShortPiece];  // of the pair (i, i + 1)
  int32_t merged[kShortPiece];
  const auto rank_pair = [&](size_t i) {
    const Pair* pair = i + 1 < count ? find_pair(symbols[i], symbols[i + 1]) : nullptr;
    ranks[i] = pair == nullptr ? kNoRank : pair->rank;
    merged[i] = pair == nullptr ? -1 : pair->merged;
  };
  for (size_t i = 0; i < count; ++i) rank_pair(i);
  while (count > 1) {
    const size_t best = static_cast<size_t>(std::min_element(ranks, ranks + count) - ranks);
    if (ranks[best] == kNoRank) break;
    symbols[best] = merged[best];
    const size_t behind = count - best - 2;
    std::memmove(symbols + best + 1, symbols + best + 2, behind * sizeof *symbols);
    std::memmove(ranks + best + 1, ranks + best + 2, behind * sizeof *ranks);
    std::memmove(merged + best + 1, merged + best + 2, behind * sizeof *merged);
    --count;
    rank_pair(best);
    if (best > 0) rank_pair(best - 1);
  }
  ids.insert(ids.end(), symbols, symbols + count);
}

// A heap of (rank, place) and a doubly linked list; a heap entry whose pair has changed is skipped.
void BpeModel::merge_long(std::vector<int32_t>& symbols, std::vector<int32_t>& ids) const {
  const uint32_t count = static_cast<uint32_t>(symbols.size());
  struct Link {
    uint32_t previous, next;
    uint32_t rank;  // of the pair that begins here
    int32_t merged;
  };
  std::vector<Link> links(count);
  std::vector<uint64_t> first;
  const auto rank_pair = [&](uint32_t at) {
    Link& link = links[at];
    const Pair* pair = link.next < count ? find_pair(symbols[at], symbols[link.next]) : nullptr;
    link.rank = pair == nullptr ? kNoRank : pair->rank;
    link.merged = pair == nullptr ? -1 : pair->merged;
    return link.rank != kNoRank;
  };
  const auto entry = [&](uint32_t at) { return uint64_t{links[at].rank} << 32 | at; };
  for (uint32_t i = 0; i < count; ++i) links[i] = {i - 1, i + 1, kNoRank, -1};
  for (uint32_t i = 0; i < count; ++i) {
    if (rank_pair(i)) first.push_back(entry(i));
  }
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> heap(std::greater<>(),
                                                                            std::move(first));
  while (!heap.empty()) {
    const uint64_t top = heap.top();
    heap.pop();
    const uint32_t at = static_cast<uint32_t>(top);
    if (links[at].rank != top >> 32) continue;
    const uint32_t gone = links[at].next;
    symbols[at] = links[at].merged;
    links[gone].rank = kNoRank;
    links[at].next = links[gone].next;
    if (links[at].next < count) links[links[at].next].previous = at;
    if (rank_pair(at)) heap.push(entry(at));
    if (at > 0 && rank_pair(links[at].previous)) heap.push(entry(links[at].previous));
  }
  for (uint32_t at = 0; at < count; at = links[at].next) ids.push_back(symbols[at]);
}

}  // namespace fathom
