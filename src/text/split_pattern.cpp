#include "text/split_pattern.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <span>
#include <variant>

#include "base/error.h"
#include "text/regex.h"
#include "text/split_syntax.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace fathom {

// Steps as compiled. A name of their own, because Splitter::Compiled has members of these types.
namespace split_steps {

constexpr uint32_t kUnlimited = std::numeric_limits<uint32_t>::max();

// Runs of characters with one of these bits, at most `longest` together; with `after_space`, one
// white space before a run belongs to it.
struct RunStep {
  uint16_t classes = 0;
  bool after_space = false;
  uint32_t longest = 0;
};
struct LineEndSpacesStep {};
struct DeepseekWordsStep {};
struct GptWordsStep {
  uint32_t longest_number = 0;
};

using CompiledStep =
    std::variant<RunStep, LineEndSpacesStep, DeepseekWordsStep, GptWordsStep, Regex>;

}  // namespace split_steps

namespace {

using namespace split_steps;

// A text as characters: [count] classes, [count + 1] byte offsets.
struct Characters {
  std::string_view bytes;
  std::vector<uint16_t> classes;
  std::vector<uint32_t> offsets;
};

// Characters begin … end - 1.
struct Range {
  uint32_t begin = 0, end = 0;
};

void read_characters(std::string_view text, std::span<const uint16_t> table, Characters& out) {
  out.bytes = text;
  out.classes.resize(text.size());
  out.offsets.resize(text.size() + 1);
  size_t count = 0;
  for (size_t at = 0; at < text.size(); ++count) {
    out.offsets[count] = static_cast<uint32_t>(at);
    const unsigned char byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x80) {
      out.classes[count] = table[byte];
      ++at;
    } else {
      out.classes[count] = table[next_code_point(text, at)];
    }
  }
  out.offsets[count] = static_cast<uint32_t>(text.size());
  out.classes.resize(count);
  out.offsets.resize(count + 1);
}

// The matches of one step within one piece. Lookaheads and line ends see the end of the piece.
// Each find_ function gives the leftmost match that begins at `at` or later, empty where there is
// none; each match_ function the end of the match that begins at `at`, or `at`.
class Matcher {
 public:
  Matcher(const Characters& text, Range piece)
      : text_(text), classes_(text.classes.data()), end_(piece.end) {}

  // \s?[set]{1,longest}
  Range find_run(const RunStep& step, uint32_t at) const {
    while (at < end_ && !(classes_[at] & step.classes)) {
      const bool opens = step.after_space && (classes_[at] & kWhiteSpace);
      if (opens && has(at + 1, step.classes)) return {at, run(at + 1, step.classes, step.longest)};
      ++at;
    }
    if (at == end_) return {end_, end_};
    // A white space that is in the set, too, is a run's first character only where no run follows.
    const bool opens = step.after_space && (classes_[at] & kWhiteSpace);
    const uint32_t body = opens && has(at + 1, step.classes) ? at + 1 : at;
    return {at, run(body, step.classes, step.longest)};
  }

  // \s+$ : a line also ends before a line feed inside the run.
  Range find_line_end_spaces(uint32_t at) const {
    while (at < end_) {
      if (!(classes_[at] & kWhiteSpace)) {
        ++at;
        continue;
      }
      const uint32_t stop = run(at, kWhiteSpace);
      if (stop == end_) return {at, stop};
      for (uint32_t last = stop - 1; last > at; --last) {
        if (byte(last) == '\n') return {at, last};
      }
      at = stop;
    }
    return {end_, end_};
  }

  // kDeepseekV3Words
  uint32_t match_deepseek_words(uint32_t at) const {
    constexpr uint16_t kWord = kLetter | kMark, kSign = kPunctuation | kSymbol;
    if (has(at, kAsciiSign) && has(at + 1, kAsciiLetter)) return run(at + 1, kAsciiLetter);
    if (lacks(at, kNewline | kLetter | kSign) && has(at + 1, kWord)) return run(at + 1, kWord);
    if (has(at, kWord)) return run(at, kWord);
    const uint32_t signs = has(at, kSpace) ? at + 1 : at;
    if (has(signs, kSign)) return run(run(signs, kSign), kNewline);
    return match_spaces(at);
  }

  // kQwen2Words, kLlama3Words
  uint32_t match_gpt_words(uint32_t at, uint32_t longest_number) const {
    if (const uint32_t stop = match_contraction(at); stop > at) return stop;
    if (lacks(at, kNewline | kLetter | kNumber) && has(at + 1, kLetter))
      return run(at + 1, kLetter);
    if (has(at, kLetter)) return run(at, kLetter);
    if (has(at, kNumber)) return run(at, kNumber, longest_number);
    constexpr uint16_t kNoSign = kWhiteSpace | kLetter | kNumber;
    uint32_t signs = has(at, kSpace) ? at + 1 : at;
    if (lacks(signs, kNoSign)) {
      while (lacks(signs, kNoSign)) ++signs;
      return run(signs, kNewline);
    }
    return match_spaces(at);
  }

 private:
  uint32_t run(uint32_t at, uint16_t classes) const {
    while (at < end_ && (classes_[at] & classes)) ++at;
    return at;
  }
  uint32_t run(uint32_t at, uint16_t classes, uint32_t longest) const {
    const uint32_t end = at + std::min(longest, end_ - at);
    while (at < end && (classes_[at] & classes)) ++at;
    return at;
  }
  bool has(uint32_t at, uint16_t classes) const { return at < end_ && (classes_[at] & classes); }
  bool lacks(uint32_t at, uint16_t classes) const { return at < end_ && !(classes_[at] & classes); }
  char byte(uint32_t at) const { return text_.bytes[text_.offsets[at]]; }

  // \s*[\r\n]+|\s+(?!\S)|\s+
  uint32_t match_spaces(uint32_t at) const {
    const uint32_t stop = run(at, kWhiteSpace);
    for (uint32_t last = stop; last > at; --last) {
      if (classes_[last - 1] & kNewline) return last;
    }
    return stop == end_ || stop - at < 2 ? stop : stop - 1;
  }

  // (?i:'s|'t|'re|'ve|'m|'ll|'d)
  uint32_t match_contraction(uint32_t at) const {
    if (!has(at, kAsciiSign) || byte(at) != '\'' || at + 1 >= end_) return at;
    const uint32_t first = text_.offsets[at + 1];
    const std::string_view rest = text_.bytes.substr(first, text_.offsets[end_] - first);
    const auto lower = [&](size_t i) {
      const char c = i < rest.size() ? rest[i] : '\0';
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    const char a = lower(0), b = lower(1);
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return at + 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return at + 3;
    constexpr std::string_view kLongS = "\u017F";  // folds to s
    return rest.starts_with(kLongS) ? at + 2 : at;
  }

  const Characters& text_;
  const uint16_t* classes_;
  uint32_t end_;
};

}  // namespace

struct Splitter::Compiled {
  std::vector<split_steps::CompiledStep> steps;
  std::span<const uint16_t> table;  // [kCodePoints], CharClass and a bit for each set of a pattern
  std::vector<uint16_t> own_table;  // what it is where patterns have sets

  explicit Compiled(const std::vector<SplitStep>& list, Engine engine);
  CompiledStep compile(const SplitStep& step, Engine engine);
  std::optional<CompiledStep> compile_known(const std::string& pattern);
  std::optional<uint16_t> classes_of(const CharSet& set);

  int free_class = kFirstFreeClass;
};

Splitter::Compiled::Compiled(const std::vector<SplitStep>& list, Engine engine) {
  if (list.empty()) return;
  table = character_classes();
  for (const SplitStep& step : list) steps.push_back(compile(step, engine));
}

CompiledStep Splitter::Compiled::compile(const SplitStep& step, Engine engine) {
  if (step.kind == SplitStep::Kind::kDigits) {
    return RunStep{kNumeric, false, step.individual_digits ? 1 : kUnlimited};
  }
  if (engine == Engine::kLinear) {
    if (const std::optional<CompiledStep> known = compile_known(step.pattern)) return *known;
  }
  return Regex(step.pattern);
}

std::optional<CompiledStep> Splitter::Compiled::compile_known(const std::string& pattern) {
  if (is_line_end_spaces(pattern)) return LineEndSpacesStep{};
  if (is_deepseek_v3_words(pattern)) return DeepseekWordsStep{};
  if (const std::optional<uint32_t> digits = gpt_words_digits(pattern))
    return GptWordsStep{*digits};
  const std::optional<RunPattern> run = parse_run_pattern(pattern);
  if (!run) return std::nullopt;
  const std::optional<uint16_t> classes = classes_of(run->set);
  if (!classes) return std::nullopt;
  return RunStep{*classes, run->after_space, run->longest};
}

// Nothing when the bits have run out.
std::optional<uint16_t> Splitter::Compiled::classes_of(const CharSet& set) {
  if (set.ranges.empty()) return set.classes;
  if (free_class == 16) return std::nullopt;
  if (own_table.empty()) {
    own_table.assign(table.begin(), table.end());
    table = own_table;
  }
  const uint16_t bit = static_cast<uint16_t>(1u << free_class++);
  for (const auto& [first, last] : set.ranges) {
    for (char32_t c = first; c <= last; ++c)
      own_table[c] = static_cast<uint16_t>(own_table[c] | bit);
  }
  return static_cast<uint16_t>(set.classes | bit);
}

namespace {

// Cuts a text depth first: a piece goes through all further steps before the next piece begins.
class Cutter {
 public:
  Cutter(const std::vector<CompiledStep>& steps, const Characters& text,
         std::vector<uint32_t>& ends)
      : steps_(steps), text_(text), ends_(ends) {}

  void cut(size_t step, Range piece) {
    if (step == steps_.size()) {
      ends_.push_back(text_.offsets[piece.end]);
      return;
    }
    std::visit([&](const auto& kind) { apply(kind, step, piece); }, steps_[step]);
  }

 private:
  void apply(const RunStep& kind, size_t step, Range piece) {
    const Matcher matcher(text_, piece);
    each_match(step, piece, [&](uint32_t at) { return matcher.find_run(kind, at); });
  }

  void apply(const LineEndSpacesStep&, size_t step, Range piece) {
    const Matcher matcher(text_, piece);
    each_match(step, piece, [&](uint32_t at) { return matcher.find_line_end_spaces(at); });
  }

  void apply(const DeepseekWordsStep&, size_t step, Range piece) {
    const Matcher matcher(text_, piece);
    each_match(step, piece, [&](uint32_t at) {
      uint32_t stop = at;
      while (at < piece.end && (stop = matcher.match_deepseek_words(at)) == at) ++at;
      return Range{at, at < piece.end ? stop : at};
    });
  }

  void apply(const GptWordsStep& kind, size_t step, Range piece) {
    const Matcher matcher(text_, piece);  // every character belongs to a match
    each_match(step, piece, [&](uint32_t at) {
      return Range{at, matcher.match_gpt_words(at, kind.longest_number)};
    });
  }

  void apply(const Regex& regex, size_t step, Range piece) {
    const uint32_t first = text_.offsets[piece.begin];
    const std::string_view bytes = text_.bytes.substr(first, text_.offsets[piece.end] - first);
    const auto character_at = [&](size_t byte) {
      const auto begin = text_.offsets.begin();
      const uint32_t offset = first + static_cast<uint32_t>(byte);
      return static_cast<uint32_t>(
          std::lower_bound(begin + piece.begin, begin + piece.end, offset) - begin);
    };
    each_match(step, piece, [&](uint32_t at) {
      // An empty match cuts nothing; search on behind it.
      for (; at < piece.end; ++at) {
        const auto match = regex.find(bytes, text_.offsets[at] - first);
        if (!match) break;
        at = character_at(match->begin);
        if (match->end > match->begin) return Range{at, character_at(match->end)};
      }
      return Range{piece.end, piece.end};
    });
  }

  template <class Find>
  void each_match(size_t step, Range piece, const Find& find) {
    for (uint32_t at = piece.begin; at < piece.end;) {
      const Range match = find(at);
      if (at < match.begin) cut(step + 1, {at, match.begin});
      if (match.begin < match.end) cut(step + 1, match);
      at = match.end;
    }
  }

  const std::vector<CompiledStep>& steps_;
  const Characters& text_;
  std::vector<uint32_t>& ends_;
};

}  // namespace

std::vector<SplitStep> deepseek_v3_split() {
  return {{SplitStep::Kind::kPattern, R"(\p{N}{1,3})"},
          {SplitStep::Kind::kPattern, "[一-龥\u3040-ゟ゠-ヿ]+"},
          {SplitStep::Kind::kPattern, std::string(kDeepseekV3Words)}};
}

Splitter::Splitter(const std::vector<SplitStep>& steps, Engine engine)
    : compiled_(std::make_shared<Compiled>(steps, engine)) {}

void Splitter::split(std::string_view text, std::vector<uint32_t>& ends) const {
  if (text.empty()) return;
  FATHOM_CHECK(text.size() < kUnlimited, "tokenizer: a text of ", text.size(),
               " bytes is too long to split; expected less than ", kUnlimited,
               ", cut it into documents first");
  if (!splits()) {
    ends.push_back(static_cast<uint32_t>(text.size()));
    return;
  }
  Characters characters;
  read_characters(text, compiled_->table, characters);
  const uint32_t count = static_cast<uint32_t>(characters.classes.size());
  Cutter(compiled_->steps, characters, ends).cut(0, {0, count});
}

bool Splitter::splits() const { return !compiled_->steps.empty(); }

bool Splitter::is_linear() const {
  return std::none_of(compiled_->steps.begin(), compiled_->steps.end(),
                      [](const auto& step) { return std::holds_alternative<Regex>(step); });
}

}  // namespace fathom
