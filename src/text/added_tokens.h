// Finds the strings of added tokens in text.
//
// Threads: const methods may run at once on one object.  Lifetime: a value.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace fathom {

class AddedTokenFinder {
 public:
  struct Match {
    int32_t id = -1;  // -1: none
    size_t begin = 0, end = 0;
  };

  AddedTokenFinder();
  void add(std::string_view content, int32_t id);  // `content` is not empty
  bool empty() const { return nodes_.size() == 1; }

  // The leftmost match that begins at `from` or later, the longest of those; at most (length of the
  // longest content) steps for each byte.
  Match find(std::string_view text, size_t from) const;

 private:
  struct Node {
    int32_t id = -1;
    std::vector<std::pair<unsigned char, uint32_t>> next;  // by byte, few
  };
  uint32_t child(uint32_t node, unsigned char byte) const;  // 0: none
  Match longest_at(std::string_view text, size_t begin) const;

  std::vector<Node> nodes_;            // a trie; node 0 is the root
  std::array<uint32_t, 256> first_{};  // children of the root
};

}  // namespace fathom
