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

constexpr size_t kShortPiece = 48;  // bytes; above this the heap is faster
constexpr size_t kKeyBytes = 15;
constexpr uint32_t kNoRank = ~uint32_t{0};

uint64_t pair_key(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

uint64_t mix(uint64_t value) {
  value *= 0x9E3779B97F4A7C15u;
  return value ^ value >> 32;
}

// Slots for an open-addressing table that stays at most 60 % full.
size_t table_size(size_t entries) { return std::bit_ceil(entries * 5 / 3 + 2); }

// What a token stands for; nothing where a piece of text can never be it.
std::optional<std::string> piece_of(const VocabEntry& entry, SymbolKind kind) {
  if (kind == SymbolKind::kCharacters) return entry.symbol;
  return symbols_to_bytes(entry.symbol);
}

}  // namespace

const BpeModel::Pair BpeModel::kNoPair;

BpeModel::BpeModel(SymbolKind kind, const std::vector<VocabEntry>& vocab,
                   const std::vector<Merge>& merges, bool ignore_merges)
    : kind_(kind), ignore_merges_(ignore_merges) {
  byte_ids_.fill(-1);
  add_tokens(vocab);
  if (kind_ == SymbolKind::kBytes) check_bytes();
  add_merges(merges);
  if (kind_ == SymbolKind::kBytes) add_byte_pairs(merges);
}

inline BpeModel::Key BpeModel::key_of(std::string_view text, size_t begin, size_t end) {
  const size_t size = end - begin;
  unsigned char bytes[16] = {};
  if (begin + 16 <= text.size()) {
    std::memcpy(bytes, text.data() + begin, 16);
  } else {
    std::memcpy(bytes, text.data() + begin, size);
  }
  Key key;
  std::memcpy(&key.low, bytes, 8);
  std::memcpy(&key.high, bytes + 8, 8);
  // Words are little-endian everywhere that Fathom runs: the first bytes are the low ones.
  if (size < 8) {
    key.low &= (uint64_t{1} << 8 * size) - 1;
    key.high = 0;
  } else {
    key.high &= (uint64_t{1} << 8 * (size - 8)) - 1;
  }
  key.high |= uint64_t{size} << 56;
  return key;
}

inline size_t BpeModel::hash(const Key& key) { return mix(mix(key.low) ^ key.high); }

// --- tables

void BpeModel::add_tokens(const std::vector<VocabEntry>& vocab) {
  int32_t highest = -1;
  for (const VocabEntry& entry : vocab) highest = std::max(highest, entry.id);
  whole_ = std::make_unique<std::atomic<Whole>[]>(static_cast<size_t>(highest + 1));
  tokens_.resize(table_size(vocab.size()));
  for (const VocabEntry& entry : vocab) {
    const std::optional<std::string> piece = piece_of(entry, kind_);
    if (!piece || piece->empty()) continue;
    add_token(*piece, entry.id);
    add_symbol(*piece, entry.id);
  }
}

void BpeModel::add_token(const std::string& piece, int32_t id) {
  longest_token_ = std::max(longest_token_, piece.size());
  if (piece.size() > kKeyBytes) {
    long_tokens_[piece] = id;
    return;
  }
  const Key key = key_of(piece, 0, piece.size());
  size_t slot = hash(key) & (tokens_.size() - 1);
  while (tokens_[slot].id >= 0) slot = (slot + 1) & (tokens_.size() - 1);
  tokens_[slot] = {key, id};
}

void BpeModel::add_symbol(const std::string& piece, int32_t id) {
  if (kind_ == SymbolKind::kBytes) {
    if (piece.size() == 1) byte_ids_[static_cast<unsigned char>(piece[0])] = id;
    return;
  }
  size_t at = 0;
  const char32_t character = next_code_point(piece, at);
  if (at == piece.size()) character_ids_[character] = id;
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
    while (pairs_[slot].rank != kNoRank && pairs_[slot].key != key)
      slot = (slot + 1) & (pairs_.size() - 1);
    pairs_[slot] = {key, static_cast<uint32_t>(rank), merge.merged};
  }
}

// What every merge begins with, found without hashing.
void BpeModel::add_byte_pairs(const std::vector<Merge>& merges) {
  const int32_t highest = *std::max_element(byte_ids_.begin(), byte_ids_.end());
  std::vector<int16_t> bytes(static_cast<size_t>(highest + 1), -1);  // by id
  for (size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    if (byte_ids_[byte] >= 0)
      bytes[static_cast<size_t>(byte_ids_[byte])] = static_cast<int16_t>(byte);
  }
  const auto byte_of = [&](int32_t id) {
    return id <= highest ? bytes[static_cast<size_t>(id)] : -1;
  };
  byte_pairs_.assign(size_t{256} * 256, &kNoPair);
  for (const Merge& merge : merges) {
    const int left = byte_of(merge.left), right = byte_of(merge.right);
    if (left < 0 || right < 0) continue;
    byte_pairs_[static_cast<size_t>(left * 256 + right)] = &find_pair(merge.left, merge.right);
  }
}

// A free slot, which says that there is none, ends every search.
inline const BpeModel::Pair& BpeModel::find_pair(int32_t left, int32_t right) const {
  const uint64_t key = pair_key(left, right);
  size_t slot = mix(key) & (pairs_.size() - 1);
  while (pairs_[slot].rank != kNoRank && pairs_[slot].key != key)
    slot = (slot + 1) & (pairs_.size() - 1);
  return pairs_[slot];
}

inline int32_t BpeModel::find_token(const Key& key) const {
  size_t slot = hash(key) & (tokens_.size() - 1);
  while (tokens_[slot].id >= 0 && tokens_[slot].key != key)
    slot = (slot + 1) & (tokens_.size() - 1);
  return tokens_[slot].id;
}

int32_t BpeModel::find_long_token(std::string_view piece) const {
  if (piece.size() > longest_token_) return -1;
  const auto found = long_tokens_.find(std::string(piece));
  return found == long_tokens_.end() ? -1 : found->second;
}

int32_t BpeModel::character_id(char32_t character) const {
  const auto found = character_ids_.find(character);
  return found == character_ids_.end() ? -1 : found->second;
}

// Published vocabularies hold tokens that the merges never arrive at; which, is found out when one
// is met. Threads that ask at once find the same.
bool BpeModel::is_whole(int32_t id, std::string_view piece) const {
  if (ignore_merges_) return true;
  std::atomic<Whole>& known = whole_[static_cast<size_t>(id)];
  Whole whole = known.load(std::memory_order_relaxed);
  if (whole == Whole::kUnknown) {
    std::vector<int32_t> ids;
    merge(piece, ids);
    whole = ids.size() == 1 && ids[0] == id ? Whole::kYes : Whole::kNo;
    known.store(whole, std::memory_order_relaxed);
  }
  return whole == Whole::kYes;
}

// --- encoding

void BpeModel::encode(std::string_view text, size_t begin, size_t end, Cache* cache,
                      std::vector<int32_t>& ids) const {
  const std::string_view piece = text.substr(begin, end - begin);
  if (piece.size() > kKeyBytes) {
    const int32_t id = find_long_token(piece);
    if (id >= 0 && is_whole(id, piece)) {
      ids.push_back(id);
    } else {
      merge(piece, ids);
    }
    return;
  }
  const Key key = key_of(text, begin, end);
  if (const int32_t id = find_token(key); id >= 0 && is_whole(id, piece)) {
    ids.push_back(id);
    return;
  }
  if (cache == nullptr) return merge(piece, ids);
  Cache::Entry& entry = cache->entries_[hash(key) % Cache::kEntries];
  if (entry.count == 0 || entry.key != key) {
    const size_t before = ids.size();
    merge(piece, ids);
    const size_t count = ids.size() - before;
    if (count > Cache::kIds) return;
    entry.key = key;
    entry.count = static_cast<int32_t>(count);
    std::copy(ids.end() - entry.count, ids.end(), entry.ids);
  } else {
    ids.insert(ids.end(), entry.ids, entry.ids + entry.count);
  }
}

void BpeModel::merge(std::string_view piece, std::vector<int32_t>& ids) const {
  if (piece.size() <= kShortPiece) {
    merge_short(piece, ids);
  } else {
    merge_long(piece, ids);
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

// The pair of symbols `at` and `at` + 1 before any merge.
inline const BpeModel::Pair& BpeModel::first_pair(std::string_view piece, const int32_t* symbols,
                                                  size_t at) const {
  if (kind_ == SymbolKind::kCharacters) return find_pair(symbols[at], symbols[at + 1]);
  const auto byte = [&](size_t i) { return size_t{static_cast<unsigned char>(piece[i])}; };
  return *byte_pairs_[byte(at) * 256 + byte(at + 1)];
}

// Looks at all pairs for each merge: no memory beyond the stack, and quickest for words.
void BpeModel::merge_short(std::string_view piece, std::vector<int32_t>& ids) const {
  int32_t symbols[kShortPiece];
  uint32_t ranks[kShortPiece];  // of the pair (i, i + 1); none behind the last symbol
  int32_t merged[kShortPiece];
  size_t count = symbols_of(piece, symbols);
  const auto set_pair = [&](size_t i, const Pair& pair) {
    ranks[i] = pair.rank;
    merged[i] = pair.merged;
  };
  for (size_t i = 0; i + 1 < count; ++i) set_pair(i, first_pair(piece, symbols, i));
  while (count > 1) {
    const size_t best = static_cast<size_t>(std::min_element(ranks, ranks + count - 1) - ranks);
    if (ranks[best] == kNoRank) break;
    symbols[best] = merged[best];
    --count;
    for (size_t i = best + 1; i < count; ++i) {
      symbols[i] = symbols[i + 1];
      ranks[i] = ranks[i + 1];
      merged[i] = merged[i + 1];
    }
    if (best + 1 < count) set_pair(best, find_pair(symbols[best], symbols[best + 1]));
    if (best > 0) set_pair(best - 1, find_pair(symbols[best - 1], symbols[best]));
  }
  ids.insert(ids.end(), symbols, symbols + count);
}

// A heap of (rank, place) and a doubly linked list; a heap entry whose pair has changed is skipped.
void BpeModel::merge_long(std::string_view piece, std::vector<int32_t>& ids) const {
  struct Link {
    uint32_t previous, next;
    uint32_t rank;  // of the pair that begins here
    int32_t merged;
  };
  std::vector<int32_t> symbols(piece.size());
  const uint32_t count = static_cast<uint32_t>(symbols_of(piece, symbols.data()));
  std::vector<Link> links(count);
  std::vector<uint64_t> entries;
  for (uint32_t i = 0; i < count; ++i) {
    links[i] = {i - 1, i + 1, kNoRank, -1};
    if (i + 1 == count) break;
    const Pair& pair = first_pair(piece, symbols.data(), i);
    links[i].rank = pair.rank;
    links[i].merged = pair.merged;
    if (pair.rank != kNoRank) entries.push_back(uint64_t{pair.rank} << 32 | i);
  }
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> heap(std::greater<>(),
                                                                            std::move(entries));
  const auto look_again = [&](uint32_t at) {
    Link& link = links[at];
    link.rank = kNoRank;
    if (link.next >= count) return;
    const Pair& pair = find_pair(symbols[at], symbols[link.next]);
    link.rank = pair.rank;
    link.merged = pair.merged;
    if (pair.rank != kNoRank) heap.push(uint64_t{pair.rank} << 32 | at);
  };
  while (!heap.empty()) {
    const uint32_t at = static_cast<uint32_t>(heap.top());
    const uint64_t rank = heap.top() >> 32;
    heap.pop();
    if (links[at].rank != rank) continue;
    const uint32_t gone = links[at].next;
    symbols[at] = links[at].merged;
    links[gone].rank = kNoRank;
    links[at].next = links[gone].next;
    if (links[at].next < count) links[links[at].next].previous = at;
    look_again(at);
    if (at > 0) look_again(links[at].previous);
  }
  for (uint32_t at = 0; at < count; at = links[at].next) ids.push_back(symbols[at]);
}

}  // namespace fathom
