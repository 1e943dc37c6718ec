// Makes a byte-level BPE tokenizer from texts, with the split rule of DeepSeek-V3.
//
// Ids: the control tokens of tokenizer_presets.h, the 256 bytes in the order of their symbols, then
// one token for each merge. The pair that occurs most often is merged first; among equals the one
// of lower ids. Threads: one caller.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "text/split_pattern.h"
#include "text/tokenizer.h"

namespace fathom {

struct TokenizerTrainingConfig {
  int32_t vocab_size = 32000;   // with control tokens and bytes; fewer where the text gives out
  int64_t min_pair_count = 2;   // pairs that occur less often are not merged
  int64_t longest_token = 128;  // bytes; runs of one character do not fill the vocabulary
};

class TokenizerTrainer {
 public:
  TokenizerTrainer();

  void add(std::string_view text);  // valid UTF-8; a text never joins the next one
  Tokenizer train(const TokenizerTrainingConfig& config) const;

 private:
  std::vector<SplitStep> split_;
  Splitter splitter_;
  std::unordered_map<std::string, int64_t> pieces_;  // how often each occurs
};

}  // namespace fathom
