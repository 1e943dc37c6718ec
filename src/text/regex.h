// A regular expression over UTF-8 text, from PCRE2.
//
// Patterns are those of tokenizer files, written for Oniguruma: classes are Unicode's, ^ and $ are
// anchors of lines. A search that would take too long (a pattern that backtracks without end) is an
// error. Threads: const methods may run at once on one object.  Lifetime: copies share the compiled
// pattern.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace fathom {

class Regex {
 public:
  struct Match {
    size_t begin = 0, end = 0;  // bytes
  };

  explicit Regex(const std::string& pattern);  // Error(kModel) on a pattern that is none

  // The leftmost match that begins at `from` or later; lookarounds see all of `text`, which is
  // valid UTF-8.
  std::optional<Match> find(std::string_view text, size_t from) const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace fathom
