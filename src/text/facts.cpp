#include "text/facts.h"

#include <algorithm>

#include "base/error.h"
#include "text/split_syntax.h"

namespace fathom {
namespace {

using Kind = SplitStep::Kind;

bool is_pattern(const SplitStep& step, std::string_view pattern) {
  return step.kind == Kind::kPattern && step.pattern == pattern;
}

bool is_line_ends(const SplitStep& step) {
  return is_pattern(step, R"([\r\n])") || is_pattern(step, "[\r\n]");
}

bool are_digits(const SplitStep& step) {
  return step.kind == Kind::kDigits && step.individual_digits;
}

// Letters, signs and CJK in the long ranges that the files spell out: the form is enough.
bool is_run(const SplitStep& step, bool after_space) {
  if (step.kind != Kind::kPattern) return false;
  const std::optional<RunPattern> run = parse_run_pattern(step.pattern);
  return run && run->after_space == after_space;
}

bool is_deepseek_llm(const std::vector<SplitStep>& s) {
  return s.size() == 6 && is_line_ends(s[0]) && is_run(s[1], true) && is_run(s[2], true) &&
         s[3].kind == Kind::kPattern && is_line_end_spaces(s[3].pattern) && is_run(s[4], false) &&
         are_digits(s[5]);
}

bool is_deepseek_coder(const std::vector<SplitStep>& s) {
  return s.size() == 5 && is_line_ends(s[0]) && is_pattern(s[1], R"(\s?\p{L}+)") &&
         is_pattern(s[2], R"(\s?\p{P}+)") && is_run(s[3], false) && are_digits(s[4]);
}

bool is_deepseek_v3(const std::vector<SplitStep>& s) {
  return s.size() == 3 && is_pattern(s[0], R"(\p{N}{1,3})") && is_run(s[1], false) &&
         s[2].kind == Kind::kPattern && is_deepseek_v3_words(s[2].pattern);
}

constexpr std::string_view kToolName = "0t0";

// `text`, or a character that the tokenizer has in its place.
std::string readable(const Tokenizer& tokenizer, std::string_view text) {
  const bool known = tokenizer.unknown_characters(text).empty();
  return known ? std::string(text) : tokenizer.token_text(tokenizer.spec().vocab.front().id);
}

size_t count_of(std::string_view text, std::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + part.size()))
    ++count;
  return count;
}

// Nothing where the template refuses the conversation.
std::optional<Prompt> rendered(const PromptFormat& format, const std::vector<Message>& messages,
                               const PromptOptions& options) {
  try {
    return format.render(messages, options);
  } catch (const Error&) {
    return std::nullopt;
  }
}

Message message(std::string role, std::string content) {
  Message m;
  m.role = std::move(role);
  m.content = std::move(content);
  return m;
}

Json small_tool() {
  Json function = Json::object({{"name", std::string(kToolName)},
                                {"description", "0"},
                                {"parameters", Json::object({{"type", "object"}})}});
  return Json::array({Json::object({{"type", "function"}, {"function", std::move(function)}})});
}

ThinkingUse thinking_use(const PromptFormat& format, const Tokenizer& tokenizer,
                         const std::vector<Message>& question, const Prompt& plain) {
  PromptOptions on, off;
  on.thinking = true;
  off.thinking = false;
  const std::optional<Prompt> with = rendered(format, question, on),
                              without = rendered(format, question, off);
  if (with && without && with->text != without->text) return ThinkingUse::kSwitch;
  if (plain.opens_thinking) return ThinkingUse::kAlways;
  return tokenizer.control().think ? ThinkingUse::kOwn : ThinkingUse::kNone;
}

}  // namespace

std::string_view tokenizer_kind(const Tokenizer& tokenizer) {
  if (!tokenizer.spec().merges.empty()) return "bpe";
  return tokenizer.spec().kind == SymbolKind::kBytes ? "bytes" : "characters";
}

std::string_view split_family(const std::vector<SplitStep>& steps) {
  if (steps.empty()) return "none";
  if (is_deepseek_v3(steps)) return "deepseek-v3";
  if (is_deepseek_llm(steps)) return "deepseek-llm";
  if (is_deepseek_coder(steps)) return "deepseek-coder";
  if (steps.size() == 1 && steps[0].kind == Kind::kPattern) {
    const std::optional<uint32_t> digits = gpt_words_digits(steps[0].pattern);
    if (digits) return *digits == 1 ? "qwen2" : "llama3";
  }
  return "other";
}

std::string_view name_of(ThinkingUse use) {
  switch (use) {
    case ThinkingUse::kNone:
      return "none";
    case ThinkingUse::kOwn:
      return "the model decides";
    case ThinkingUse::kAlways:
      return "always";
    case ThinkingUse::kSwitch:
      return "on or off";
  }
  return "";
}

FormatFacts examine_format(const PromptFormat& format, const Tokenizer& tokenizer) {
  const std::vector<Message> question = {message("user", readable(tokenizer, "0"))};
  const Prompt plain = format.render(question);
  FormatFacts facts;
  facts.thinking = thinking_use(format, tokenizer, question, plain);
  const std::string rule = readable(tokenizer, "0s0");
  if (const std::optional<Prompt> told =
          rendered(format, {message("system", rule), question[0]}, {})) {
    facts.system = count_of(told->text, rule) > count_of(plain.text, rule);
  }
  PromptOptions tools;
  tools.tools = small_tool();
  if (const std::optional<Prompt> offered = rendered(format, question, tools))
    facts.tools = count_of(offered->text, kToolName) > 0;
  return facts;
}

}  // namespace fathom
