// Byte-pair encoding: the ids of one piece of text, from a vocabulary and its ranked merges.
//
// Starting from single symbols (bytes or characters), the adjacent pair of lowest rank is merged,
// the leftmost among equals, until no pair has a rank. A piece of n symbols takes O(n log n).
// Threads: const methods may run at once on one object.  Lifetime: immutable once made.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace fathom {

enum class SymbolKind {
  kBytes,       // each byte is one of 256 printable symbols (the ByteLevel alphabet)
  kCharacters,  // each symbol is the character itself
};

struct VocabEntry {
  std::string symbol;  // as written in tokenizer.json
  int32_t id = 0;
};

// `left` then `right` become `merged`; the place in the list is the rank.
struct Merge {
  int32_t left = 0, right = 0, merged = 0;

  bool operator==(const Merge&) const = default;
};

class BpeModel {
 public:
  // Ids of short pieces that are no tokens, so that what repeats within a text is merged once.
  // One text's: not shared between threads.
  class Cache;

  // `ignore_merges`: a piece that is a token is that token, whatever the merges say.
  BpeModel(SymbolKind kind, const std::vector<VocabEntry>& vocab, const std::vector<Merge>& merges,
           bool ignore_merges);

  // Appends the ids of the piece text[begin, end), which is valid UTF-8; -1 for a symbol that the
  // vocabulary lacks.
  void encode(std::string_view text, size_t begin, size_t end, Cache* cache,
              std::vector<int32_t>& ids) const;

  // kCharacters: the character's id, or -1.
  int32_t character_id(char32_t character) const;

 private:
  // Up to 15 bytes and their number, which is all that a lookup has to compare.
  struct Key {
    uint64_t low = 0, high = 0;

    bool operator==(const Key&) const = default;
  };
  // Slots of open-addressing tables.
  struct Token {
    Key key;
    int32_t id = -1;
  };
  struct Pair {
    uint64_t key = ~uint64_t{0};
    uint32_t rank = ~uint32_t{0};
    int32_t merged = -1;
  };
  static const Pair kNoPair;
  enum class Whole : uint8_t { kUnknown, kYes, kNo };  // do the merges of a token give that token?

  static Key key_of(std::string_view text, size_t begin, size_t end);
  static size_t hash(const Key& key);

  void add_tokens(const std::vector<VocabEntry>& vocab);
  void add_token(const std::string& piece, int32_t id);
  void add_symbol(const std::string& piece, int32_t id);
  void check_bytes() const;
  void add_merges(const std::vector<Merge>& merges);
  void add_byte_pairs(const std::vector<Merge>& merges);
  const Pair& find_pair(int32_t left, int32_t right) const;  // rank kNoRank where there is none
  int32_t find_token(const Key& key) const;                  // -1 where there is none
  int32_t find_long_token(std::string_view piece) const;
  bool is_whole(int32_t id, std::string_view piece) const;
  size_t symbols_of(std::string_view piece, int32_t* symbols) const;  // their number
  const Pair& first_pair(std::string_view piece, const int32_t* symbols, size_t at) const;
  void merge(std::string_view piece, std::vector<int32_t>& ids) const;
  void merge_short(std::string_view piece, std::vector<int32_t>& ids) const;
  void merge_long(std::string_view piece, std::vector<int32_t>& ids) const;

  SymbolKind kind_;
  bool ignore_merges_;
  std::array<int32_t, 256> byte_ids_{};                   // kBytes; -1 where there is none
  std::unordered_map<char32_t, int32_t> character_ids_;   // kCharacters
  std::vector<Token> tokens_;                             // those of up to 15 bytes
  std::unordered_map<std::string, int32_t> long_tokens_;  // the others
  size_t longest_token_ = 0;
  std::vector<Pair> pairs_;
  std::vector<const Pair*> byte_pairs_;          // kBytes: [256 * 256]
  std::unique_ptr<std::atomic<Whole>[]> whole_;  // [ids], filled as tokens are met
};

class BpeModel::Cache {
 public:
  Cache() : entries_(kEntries) {}

 private:
  friend class BpeModel;
  static constexpr size_t kEntries = 1024, kIds = 7;
  struct Entry {
    Key key;
    int32_t count = 0;  // 0: free
    int32_t ids[kIds];
  };

  std::vector<Entry> entries_;
};

}  // namespace fathom
