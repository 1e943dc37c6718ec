#include "text/tokenizer_training.h"

#include <algorithm>
#include <array>
#include <queue>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "text/byte_symbols.h"
#include "text/tokenizer_presets.h"

namespace fathom {
namespace {

struct Word {
  std::vector<int32_t> symbols;
  int64_t count = 0;
};

using PairKey = uint64_t;

PairKey key_of(int32_t left, int32_t right) {
  return PairKey{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

struct Candidate {
  int64_t count = 0;
  PairKey pair = 0;

  bool operator<(const Candidate& other) const {
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

// Counts of all pairs of all words, kept right while pairs are merged.
class PairCounts {
 public:
  PairCounts(std::vector<Word> words, std::vector<int64_t> symbol_bytes, int64_t longest)
      : words_(std::move(words)), bytes_(std::move(symbol_bytes)), longest_(longest) {
    for (uint32_t w = 0; w < words_.size(); ++w) {
      const std::vector<int32_t>& symbols = words_[w].symbols;
      for (size_t i = 0; i + 1 < symbols.size(); ++i) change(symbols[i], symbols[i + 1], w, 1);
    }
    publish();
  }

  // The most frequent pair, or one with count 0.
  Candidate best() {
    while (!heap_.empty()) {
      const Candidate top = heap_.top();
      const int64_t now = counts_[top.pair];
      if (now == top.count) return top;
      heap_.pop();
      if (now > 0) heap_.push({now, top.pair});
    }
    return {};
  }

  void merge(PairKey pair, int32_t merged) {
    heap_.pop();
    const int32_t left = static_cast<int32_t>(pair >> 32), right = static_cast<int32_t>(pair);
    if (static_cast<size_t>(merged) == bytes_.size())
      bytes_.push_back(bytes_[static_cast<size_t>(left)] + bytes_[static_cast<size_t>(right)]);
    const std::vector<uint32_t> in_words = std::move(words_with_[pair]);
    words_with_.erase(pair);
    for (const uint32_t w : in_words) merge_in(w, left, right, merged);
    counts_.erase(pair);
    publish();
  }

 private:
  void change(int32_t left, int32_t right, uint32_t word, int64_t sign) {
    if (bytes_[static_cast<size_t>(left)] + bytes_[static_cast<size_t>(right)] > longest_) return;
    const PairKey pair = key_of(left, right);
    counts_[pair] += sign * words_[word].count;
    if (sign < 0) return;
    std::vector<uint32_t>& list = words_with_[pair];
    if (list.empty() || list.back() != word) list.push_back(word);
    touched_.insert(pair);
  }

  void merge_in(uint32_t w, int32_t left, int32_t right, int32_t merged) {
    std::vector<int32_t>& symbols = words_[w].symbols;
    size_t size = 0;
    for (size_t i = 0; i < symbols.size(); ++i) {
      const bool here = symbols[i] == left && i + 1 < symbols.size() && symbols[i + 1] == right;
      if (here) {
        if (size > 0) {
          change(symbols[size - 1], left, w, -1);
          change(symbols[size - 1], merged, w, 1);
        }
        if (i + 2 < symbols.size()) {
          change(right, symbols[i + 2], w, -1);
          change(merged, symbols[i + 2], w, 1);
        }
        ++i;
      }
      symbols[size++] = here ? merged : symbols[i];
    }
    symbols.resize(size);
  }

  void publish() {
    for (const PairKey pair : touched_) {
      if (const int64_t count = counts_[pair]; count > 0) heap_.push({count, pair});
    }
    touched_.clear();
  }

  std::vector<Word> words_;
  std::vector<int64_t> bytes_;  // of each symbol
  int64_t longest_;
  std::unordered_map<PairKey, int64_t> counts_;
  std::unordered_map<PairKey, std::vector<uint32_t>> words_with_;  // may name words that lost it
  std::unordered_set<PairKey> touched_;                            // pairs to put on the heap
  std::priority_queue<Candidate> heap_;
};

// The 256 bytes in the order of their symbols, behind the control tokens.
std::array<int32_t, 256> add_bytes(TokenizerSpec& spec) {
  std::array<unsigned char, 256> order{};
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<unsigned char>(i);
  std::sort(order.begin(), order.end(),
            [](unsigned char a, unsigned char b) { return byte_symbol(a) < byte_symbol(b); });
  std::array<int32_t, 256> ids{};
  int32_t next = static_cast<int32_t>(spec.added_tokens.size());
  for (const unsigned char byte : order) {
    ids[byte] = next;
    std::string symbol;
    append_utf8(symbol, byte_symbol(byte));
    spec.vocab.push_back({symbol, next++});
  }
  return ids;
}

// Sorted, so that the result does not depend on the order of a hash table.
std::vector<Word> words_of(const std::unordered_map<std::string, int64_t>& pieces,
                           const std::array<int32_t, 256>& byte_ids) {
  std::vector<std::pair<std::string_view, int64_t>> sorted(pieces.begin(), pieces.end());
  std::sort(sorted.begin(), sorted.end());
  std::vector<Word> words;
  words.reserve(sorted.size());
  for (const auto& [piece, count] : sorted) {
    Word word{{}, count};
    for (const char c : piece) word.symbols.push_back(byte_ids[static_cast<unsigned char>(c)]);
    words.push_back(std::move(word));
  }
  return words;
}

}  // namespace

TokenizerTrainer::TokenizerTrainer() : split_(deepseek_v3_split()), splitter_(split_) {}

void TokenizerTrainer::add(std::string_view text) {
  std::vector<uint32_t> ends;
  splitter_.split(text, ends);
  size_t start = 0;
  for (const uint32_t end : ends) {
    ++pieces_[std::string(text.substr(start, end - start))];
    start = end;
  }
}

Tokenizer TokenizerTrainer::train(const TokenizerTrainingConfig& config) const {
  TokenizerSpec spec = control_token_spec(SymbolKind::kBytes);
  spec.split = split_;
  const std::array<int32_t, 256> byte_ids = add_bytes(spec);
  const size_t first_merge = spec.added_tokens.size() + spec.vocab.size();
  if (config.vocab_size < 0 || static_cast<size_t>(config.vocab_size) < first_merge) {
    fail(ErrorCode::kUsage, "tokenizer: a vocabulary of ", config.vocab_size,
         " tokens is too small; ", first_merge, " are control tokens and bytes");
  }
  std::vector<std::string> symbols(first_merge);
  for (const VocabEntry& entry : spec.vocab) symbols[static_cast<size_t>(entry.id)] = entry.symbol;
  PairCounts counts(words_of(pieces_, byte_ids), std::vector<int64_t>(first_merge, 1),
                    config.longest_token);
  // Two ways to one string are two merges with one token.
  std::unordered_map<std::string, int32_t> known;
  while (symbols.size() < static_cast<size_t>(config.vocab_size)) {
    const Candidate best = counts.best();
    if (best.count < std::max<int64_t>(config.min_pair_count, 1)) break;
    const int32_t left = static_cast<int32_t>(best.pair >> 32);
    const int32_t right = static_cast<int32_t>(best.pair);
    const std::string symbol =
        symbols[static_cast<size_t>(left)] + symbols[static_cast<size_t>(right)];
    const int32_t next = static_cast<int32_t>(symbols.size());
    const auto [entry, is_new] = known.emplace(symbol, next);
    if (is_new) {
      symbols.push_back(symbol);
      spec.vocab.push_back({symbol, next});
    }
    spec.merges.push_back({left, right, entry->second});
    counts.merge(best.pair, entry->second);
  }
  return Tokenizer(std::move(spec));
}

}  // namespace fathom
