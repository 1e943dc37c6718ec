#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <cstdint>

#include "base/error.h"

namespace fathom {
namespace {

struct FreeMatch {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct FreeContext {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
struct FreeCompileContext {
  void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
};

std::string pcre2_message(int code) {
  PCRE2_UCHAR text[256] = {};
  pcre2_get_error_message(code, text, std::size(text));
  return reinterpret_cast<const char*>(text);
}

// Steps of one search: some for each byte, and enough for the backtracking of a short text.
uint32_t match_limit(size_t bytes) {
  return static_cast<uint32_t>(std::min<size_t>(1'000'000 + 8 * bytes, 1'000'000'000));
}

}  // namespace

struct Regex::Compiled {
  struct FreeCode {
    void operator()(pcre2_code* made) const { pcre2_code_free(made); }
  };

  std::string pattern;
  std::unique_ptr<pcre2_code, FreeCode> code;
};

Regex::Regex(const std::string& pattern) {
  auto compiled = std::make_shared<Compiled>();
  compiled->pattern = pattern;
  const std::unique_ptr<pcre2_compile_context, FreeCompileContext> context(
      pcre2_compile_context_create(nullptr));
  FATHOM_CHECK(context, "regex: no memory for a pattern");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  constexpr uint32_t kOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
  compiled->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                     kOptions, &error, &offset, context.get()));
  if (!compiled->code) {
    fail(ErrorCode::kModel, "the split pattern '", pattern, "' is not understood at byte ", offset,
         ": ", pcre2_message(error));
  }
  // Where the processor has no compiler in the library, the interpreter gives the same matches.
  pcre2_jit_compile(compiled->code.get(), PCRE2_JIT_COMPLETE);
  compiled_ = std::move(compiled);
}

std::optional<Regex::Match> Regex::find(std::string_view text, size_t from) const {
  const std::unique_ptr<pcre2_match_data, FreeMatch> found(pcre2_match_data_create(1, nullptr));
  const std::unique_ptr<pcre2_match_context, FreeContext> context(
      pcre2_match_context_create(nullptr));
  FATHOM_CHECK(found && context, "regex: no memory for a match");
  pcre2_set_match_limit(context.get(), match_limit(text.size() - from));
  const int count = pcre2_match(compiled_->code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()),
                                text.size(), from, PCRE2_NO_UTF_CHECK, found.get(), context.get());
  if (count == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (count < 0) {
    fail(ErrorCode::kRuntime, "the split pattern '", compiled_->pattern, "' gave up at byte ", from,
         " of a text of ", text.size(), ": ", pcre2_message(count),
         "; it takes too long on such text, so shorten its runs or use another tokenizer");
  }
  const PCRE2_SIZE* span = pcre2_get_ovector_pointer(found.get());
  return Match{span[0], span[1]};
}

}  // namespace fathom
