#include "text/added_tokens.h"

namespace fathom {

AddedTokenFinder::AddedTokenFinder() : nodes_(1) {}

uint32_t AddedTokenFinder::child(uint32_t node, unsigned char byte) const {
  if (node == 0) return first_[byte];
  for (const auto& [key, target] : nodes_[node].next) {
    if (key == byte) return target;
  }
  return 0;
}

void AddedTokenFinder::add(std::string_view content, int32_t id) {
  uint32_t node = 0;
  for (const char c : content) {
    const unsigned char byte = static_cast<unsigned char>(c);
    uint32_t target = child(node, byte);
    if (target == 0) {
      target = static_cast<uint32_t>(nodes_.size());
      nodes_.emplace_back();
      if (node == 0) {
        first_[byte] = target;
      } else {
        nodes_[node].next.emplace_back(byte, target);
      }
    }
    node = target;
  }
  nodes_[node].id = id;
}

AddedTokenFinder::Match AddedTokenFinder::longest_at(std::string_view text, size_t begin) const {
  Match best;
  uint32_t node = 0;
  for (size_t at = begin; at < text.size(); ++at) {
    node = child(node, static_cast<unsigned char>(text[at]));
    if (node == 0) break;
    if (nodes_[node].id >= 0) best = {nodes_[node].id, begin, at + 1};
  }
  return best;
}

AddedTokenFinder::Match AddedTokenFinder::find(std::string_view text, size_t from) const {
  if (empty()) return {};
  for (size_t at = from; at < text.size(); ++at) {
    if (first_[static_cast<unsigned char>(text[at])] == 0) continue;
    if (const Match match = longest_at(text, at); match.id >= 0) return match;
  }
  return {};
}

}  // namespace fathom
