#include "text/bpe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "text/byte_symbols.h"
#include "text/testing.h"
#include "text/utf8.h"

namespace fathom {
namespace {

struct Parts {
  std::vector<VocabEntry> vocab;
  std::vector<Merge> merges;
};

// Letters a … of `letters`, and `count` merges of random tokens.
Parts random_parts(Draws& random, int letters, int count) {
  Parts parts;
  std::map<std::string, int32_t> ids;
  const auto id_of = [&](const std::string& symbol) {
    const auto [found, is_new] = ids.emplace(symbol, static_cast<int32_t>(ids.size()));
    if (is_new) parts.vocab.push_back({symbol, found->second});
    return found->second;
  };
  for (int i = 0; i < letters; ++i) id_of(std::string(1, static_cast<char>('a' + i)));
  while (parts.merges.size() < static_cast<size_t>(count)) {
    const std::string left = parts.vocab[random.below(parts.vocab.size())].symbol;
    const std::string right = parts.vocab[random.below(parts.vocab.size())].symbol;
    if (left.size() + right.size() > 12) continue;
    parts.merges.push_back({id_of(left), id_of(right), id_of(left + right)});
  }
  return parts;
}

// The definition: as long as a pair has a rank, the leftmost of the lowest.
std::vector<int32_t> merged_plainly(const Parts& parts, const std::string& text) {
  std::vector<int32_t> ids;
  for (const char c : text) ids.push_back(c - 'a');
  std::map<std::pair<int32_t, int32_t>, size_t> ranks;
  for (size_t i = 0; i < parts.merges.size(); ++i)
    ranks[{parts.merges[i].left, parts.merges[i].right}] = i;
  for (;;) {
    size_t best = parts.merges.size(), at = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto found = ranks.find({ids[i], ids[i + 1]});
      if (found != ranks.end() && found->second < best) best = found->second, at = i;
    }
    if (best == parts.merges.size()) return ids;
    ids[at] = parts.merges[best].merged;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

std::string random_text(Draws& random, int letters, size_t length) {
  std::string text;
  for (size_t i = 0; i < length; ++i)
    text += static_cast<char>('a' + random.below(static_cast<uint64_t>(letters)));
  return text;
}

std::vector<int32_t> encoded(const BpeModel& model, const std::string& text) {
  std::vector<int32_t> ids;
  BpeModel::Cache cache;
  model.encode(text, 0, text.size(), nullptr, ids);
  for (int round = 0; round < 2; ++round) {  // the second from the cache, within a longer text
    std::vector<int32_t> again;
    model.encode("bcb" + text + "abcacbabcabcabcabc", 3, 3 + text.size(), &cache, again);
    EXPECT_EQ(again, ids);
  }
  return ids;
}

TEST(Bpe, MergesAsDefinedForPiecesOfAnyLength) {
  Draws random(1);
  for (int round = 0; round < 200; ++round) {
    const int letters = 1 + static_cast<int>(random.below(4));
    const Parts parts = random_parts(random, letters, 1 + static_cast<int>(random.below(40)));
    const BpeModel model(SymbolKind::kCharacters, parts.vocab, parts.merges, false);
    for (const size_t length : {0, 1, 2, 5, 17, 47, 48, 49, 50, 120}) {
      const std::string text = random_text(random, letters, length);
      ASSERT_EQ(encoded(model, text), merged_plainly(parts, text)) << text;
    }
  }
}

TEST(Bpe, ATokenThatMergesNeverArriveAtIsUsedOnlyWhenMergesAreIgnored) {
  const std::vector<VocabEntry> vocab = {{"a", 0}, {"b", 1}, {"c", 2}, {"bc", 3}, {"abc", 4}};
  const std::vector<Merge> merges = {{1, 2, 3}};
  EXPECT_EQ(encoded(BpeModel(SymbolKind::kCharacters, vocab, merges, false), "abc"),
            (std::vector<int32_t>{0, 3}));
  EXPECT_EQ(encoded(BpeModel(SymbolKind::kCharacters, vocab, merges, true), "abc"),
            (std::vector<int32_t>{4}));
}

TEST(Bpe, AByteVocabularyMayLackWhatUtf8NeverHolds) {
  std::vector<VocabEntry> vocab;
  for (int byte = 0; byte < 256; ++byte) {
    const unsigned char value = static_cast<unsigned char>(byte);
    if (!occurs_in_utf8(value)) continue;
    std::string symbol;
    append_utf8(symbol, byte_symbol(value));
    vocab.push_back({symbol, static_cast<int32_t>(vocab.size())});
  }
  EXPECT_EQ(vocab.size(), 243u);
  EXPECT_EQ(encoded(BpeModel(SymbolKind::kBytes, vocab, {}, false), "é").size(), 2u);
  vocab.pop_back();
  EXPECT_THROW(BpeModel(SymbolKind::kBytes, vocab, {}, false), Error);
}

TEST(Bpe, ALongPieceTakesNoLongerThanItsLengthAllows) {
  Draws random(2);
  const Parts parts = random_parts(random, 2, 60);
  const BpeModel model(SymbolKind::kCharacters, parts.vocab, parts.merges, false);
  for (const std::string& text : {std::string(1'000'000, 'a'), random_text(random, 2, 1'000'000)}) {
    const Timer timer;
    EXPECT_GT(encoded(model, text).size(), 80'000u);
    EXPECT_LT(timer.seconds(), 20.0);  // a quadratic one takes hours
  }
}

TEST(Bpe, ManyThreadsMayEncodeAtOnce) {
  Draws random(3);
  const Parts parts = random_parts(random, 3, 80);
  const BpeModel model(SymbolKind::kCharacters, parts.vocab, parts.merges, false);
  std::vector<std::string> texts;
  for (const VocabEntry& entry : parts.vocab) texts.push_back(entry.symbol);
  std::vector<std::vector<std::vector<int32_t>>> found(4);
  std::vector<std::thread> threads;
  for (auto& mine : found) {
    threads.emplace_back([&] {
      for (const std::string& text : texts) mine.push_back(encoded(model, text));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < texts.size(); ++i) {
    for (const auto& mine : found) EXPECT_EQ(mine[i], merged_plainly(parts, texts[i]));
  }
}

}  // namespace
}  // namespace fathom
