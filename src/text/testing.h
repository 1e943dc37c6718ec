// For the tests and fuzz targets of this folder: draws one after the other, and the split steps
// that own code knows.
//
// Threads: one for Draws; the function is pure.
#pragma once

#include <string>
#include <vector>

#include "base/random.h"
#include "text/split_pattern.h"
#include "text/split_syntax.h"

namespace fathom {

class Draws {
 public:
  explicit Draws(uint64_t seed) : key_{.seed = seed} {}

  uint64_t below(uint64_t n) { return key_.below(next_++, n); }

  template <class List>
  const auto& one_of(const List& list) {
    return list[below(list.size())];
  }

 private:
  RandomKey key_;
  uint64_t next_ = 0;
};

inline SplitStep split_by(std::string_view pattern) {
  return {SplitStep::Kind::kPattern, std::string(pattern)};
}

// The published steps, and their likes.
inline std::vector<std::vector<SplitStep>> known_splits() {
  const SplitStep cjk = split_by("[一-龥ࠀ-一가-\xED\x9F\xBF]+");  // the last is U+D7FF
  const SplitStep signs = split_by(R"(\s?[!-/:-~！-／：-～‘-‟　-。]+)");
  const SplitStep cased = split_by(R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺḀ-ἕA-Z]+)");
  const SplitStep newline = split_by(R"([\r\n])"), spaces = split_by(R"(\s+$)");
  const SplitStep digits{SplitStep::Kind::kDigits, "", true};
  return {deepseek_v3_split(),
          {split_by(kQwen2Words)},
          {split_by(kLlama3Words)},
          {newline, cased, signs, spaces, cjk, digits},
          {newline, split_by(R"(\s?\p{L}+)"), split_by(R"(\s?\p{P}+)"), cjk},
          {spaces},
          {split_by(kDeepseekV3Words)},
          {split_by(R"(\p{N}{1,3})")},
          {split_by(R"([\p{L}\p{M}\-\]]{1,2})"), split_by(R"(\s)")}};
}

}  // namespace fathom
