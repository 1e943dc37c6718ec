#include "text/split_syntax.h"

#include <string>

#include "text/unicode.h"
#include "text/utf8.h"

namespace fathom {
namespace {

// Reads a pattern from the left; nothing is taken where nothing fits.
class PatternReader {
 public:
  explicit PatternReader(std::string_view rest) : rest_(rest) {}

  bool at_end() const { return rest_.empty(); }

  bool take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }

  std::optional<CharSet> take_set() {
    CharSet set;
    if (take_class(set)) return set;
    if (!take("[")) return std::nullopt;
    while (!take("]")) {
      if (at_end() || !(take_class(set) || take_range(set))) return std::nullopt;
    }
    return set;
  }

  // One digit, as in {1,3}.
  std::optional<uint32_t> take_digit() {
    if (at_end() || rest_[0] < '1' || rest_[0] > '9') return std::nullopt;
    const uint32_t value = static_cast<uint32_t>(rest_[0] - '0');
    rest_.remove_prefix(1);
    return value;
  }

 private:
  bool take_class(CharSet& set) {
    static constexpr std::pair<std::string_view, uint16_t> kClasses[] = {
        {R"(\p{L})", kLetter},      {R"(\p{M})", kMark},   {R"(\p{N})", kNumber},
        {R"(\p{P})", kPunctuation}, {R"(\p{S})", kSymbol}, {R"(\s)", kWhiteSpace}};
    for (const auto& [name, bits] : kClasses) {
      if (!take(name)) continue;
      set.classes = static_cast<uint16_t>(set.classes | bits);
      return true;
    }
    return false;
  }

  // A character of a set; nothing for what may mean something else there.
  std::optional<char32_t> take_character() {
    if (take(R"(\r)")) return U'\r';
    if (take(R"(\n)")) return U'\n';
    if (take(R"(\t)")) return U'\t';
    constexpr std::string_view kSpecial = "[]^&-";
    if (take("\\")) {
      if (at_end() || (kSpecial.find(rest_[0]) == kSpecial.npos && rest_[0] != '\\')) return {};
      const char32_t escaped = static_cast<unsigned char>(rest_[0]);
      rest_.remove_prefix(1);
      return escaped;
    }
    if (at_end() || kSpecial.find(rest_[0]) != kSpecial.npos) return std::nullopt;
    size_t length = 0;
    const char32_t c = next_code_point(rest_, length);
    rest_.remove_prefix(length);
    return c;
  }

  bool take_range(CharSet& set) {
    const std::optional<char32_t> first = take_character();
    if (!first) return false;
    std::optional<char32_t> last = first;
    if (take("-")) last = take_character();
    if (!last || *last < *first) return false;
    set.ranges.emplace_back(*first, *last);
    return true;
  }

  std::string_view rest_;
};

// Files hold line ends as such or escaped.
std::string with_escaped_line_ends(std::string_view pattern) {
  std::string out;
  for (const char c : pattern) {
    if (c == '\r') {
      out += R"(\r)";
    } else if (c == '\n') {
      out += R"(\n)";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::optional<RunPattern> parse_run_pattern(std::string_view pattern) {
  PatternReader reader(pattern);
  RunPattern run;
  run.after_space = reader.take(R"(\s?)");
  const std::optional<CharSet> set = reader.take_set();
  if (!set) return std::nullopt;
  run.set = *set;
  if (reader.take("{1,")) {
    const std::optional<uint32_t> longest = reader.take_digit();
    if (!longest || !reader.take("}")) return std::nullopt;
    run.longest = *longest;
  } else if (!reader.take("+")) {
    run.longest = 1;
  }
  if (!reader.at_end()) return std::nullopt;
  return run;
}

bool is_line_end_spaces(std::string_view pattern) { return pattern == R"(\s+$)"; }

bool is_deepseek_v3_words(std::string_view pattern) {
  return with_escaped_line_ends(pattern) == kDeepseekV3Words;
}

std::optional<uint32_t> gpt_words_digits(std::string_view pattern) {
  const std::string escaped = with_escaped_line_ends(pattern);
  if (escaped == kQwen2Words) return 1;
  if (escaped == kLlama3Words) return 3;
  return std::nullopt;
}

}  // namespace fathom
