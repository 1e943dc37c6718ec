// What the splitter understands of patterns: runs of one class of characters, and the alternations
// of the published tokenizers.
//
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace fathom {

// The characters of a class: those with one of the bits (CharClass) and those in the ranges.
struct CharSet {
  uint16_t classes = 0;
  std::vector<std::pair<char32_t, char32_t>> ranges;  // both ends are in
};

// \s?[set]+   \s?[set]   [set]{1,n}
struct RunPattern {
  CharSet set;
  bool after_space = false;  // \s?
  uint32_t longest = std::numeric_limits<uint32_t>::max();
};

// Nothing where the pattern is not of this form.
std::optional<RunPattern> parse_run_pattern(std::string_view pattern);

// Each is one pattern, or a few that differ in a number.
bool is_line_end_spaces(std::string_view pattern);                   // \s+$
bool is_deepseek_v3_words(std::string_view pattern);                 // step 3 of DeepSeek-V3
std::optional<uint32_t> gpt_words_digits(std::string_view pattern);  // Qwen2 (1), Llama 3 (3)

inline constexpr std::string_view kDeepseekV3Words =
    R"re([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";
inline constexpr std::string_view kQwen2Words =
    R"re((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";
inline constexpr std::string_view kLlama3Words =
    R"re((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";

}  // namespace fathom
