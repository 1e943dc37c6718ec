// The words of a template: text outside tags, and the tokens inside them.
//
// Whitespace follows trim_blocks and lstrip_blocks, as chat templates are rendered with: the
// newline behind a block tag goes, and so do the blanks before one that begins its line; `-` inside
// a tag takes all whitespace on that side, `+` keeps it.
//
// Threads: pure function.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/value.h"

namespace fathom::jinja {

enum class TokenKind {
  kText,
  kBlockBegin,
  kBlockEnd,
  kVariableBegin,
  kVariableEnd,
  kName,
  kString,
  kNumber,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;  // of names, operators and strings (their content)
  Value number;
  int line = 1;
};

// The fault of a template that cannot be read: what, and the line.
struct SyntaxFault {
  std::string what;
  int line;
};

// Throws SyntaxFault.
std::vector<Token> tokenize(std::string_view source);

// Bytes of the whitespace character at `at`, as Python's str.isspace sees it; 0 if there is none.
size_t space_at(std::string_view text, size_t at);

}  // namespace fathom::jinja
