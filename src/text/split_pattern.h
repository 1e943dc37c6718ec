// The pre-tokenizer: cuts text into the pieces that merging never crosses.
//
// A tokenizer file gives a list of steps, each applied to every piece that the step before left.
// "Isolated" steps turn the matches of a pattern and the gaps between them into pieces. The
// patterns of the published tokenizers are matched by code that takes a time proportional to the
// text; any other pattern goes to the regular-expression library, under a limit.
// Threads: const methods may run at once on one object.  Lifetime: copies share what was compiled.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace fathom {

struct SplitStep {
  enum class Kind {
    kPattern,  // Split with this pattern, Isolated
    kDigits,   // Digits: runs of numeric characters, or each of them
  };
  Kind kind = Kind::kPattern;
  std::string pattern;
  bool individual_digits = true;

  bool operator==(const SplitStep&) const = default;
};

// The steps of DeepSeek-V3 and R1, which is what trained tokenizers get.
std::vector<SplitStep> deepseek_v3_split();

class Splitter {
 public:
  enum class Engine {
    kLinear,   // own code for the patterns that it knows
    kLibrary,  // the library for every pattern: what kLinear is tested against
  };

  explicit Splitter(const std::vector<SplitStep>& steps, Engine engine = Engine::kLinear);

  // Appends the offset behind each piece, ascending; the last is the size of `text`. No piece is
  // empty. `text` is valid UTF-8.
  void split(std::string_view text, std::vector<uint32_t>& ends) const;

  bool splits() const;     // are there any steps?
  bool is_linear() const;  // is every step own code?

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace fathom
