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
  // `ignore_merges`: a piece that is a token is that token, whatever the merges say.
  BpeModel(SymbolKind kind, const std::vector<VocabEntry>& vocab, const std::vector<Merge>& merges,
           bool ignore_merges);

  // Appends the ids of `piece`, which is valid UTF-8; -1 for a symbol that the vocabulary lacks.
  void encode(std::string_view piece, std::vector<int32_t>& ids) const;

  // kCharacters: the character's id, or -1.
  int32_t character_id(char32_t character) const;

 private:
  // One slot of an open-addressing table; a pair has at most one.
  struct Pair {
    uint64_t key = kNoPair;
    uint32_t rank = 0;
    int32_t merged = 0;
  };
  struct Token {
    uint32_t hash = 0;
    int32_t id = -1;
  };
  enum class Whole : uint8_t { kUnknown, kYes, kNo };  // do the merges of a token give that token?
  static constexpr uint64_t kNoPair = ~uint64_t{0};

  void add_tokens(const std::vector<VocabEntry>& vocab);
  void index_tokens(const std::vector<std::string>& pieces);
  void add_merges(const std::vector<Merge>& merges);
  void check_bytes() const;
  const Pair* find_pair(int32_t left, int32_t right) const;  // null where there is no merge
  int32_t find_token(std::string_view bytes) const;          // -1 where there is none
  bool is_whole(int32_t id, std::string_view bytes) const;
  size_t symbols_of(std::string_view piece, int32_t* symbols) const;  // their number
  void merge_short(int32_t* symbols, size_t count, std::vector<int32_t>& ids) const;
  void merge_long(std::vector<int32_t>& symbols, std::vector<int32_t>& ids) const;
  void merge(std::string_view piece, std::vector<int32_t>& ids) const;

  SymbolKind kind_;
  bool ignore_merges_;
  std::array<int32_t, 256> byte_ids_{};                  // kBytes; -1 where there is none
  std::unordered_map<char32_t, int32_t> character_ids_;  // kCharacters
  std::vector<Pair> pairs_;                              // a power of two
  std::vector<Token> tokens_;                            // a power of two
  std::string token_bytes_;                              // of all tokens, one behind the other
  std::vector<uint32_t> token_begin_;                    // [ids + 1] in token_bytes_
  size_t longest_token_ = 0;
  std::unique_ptr<std::atomic<Whole>[]> whole_;  // [ids], filled as tokens are met
};

}  // namespace fathom
