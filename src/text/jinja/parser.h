// From the words of a template to its tree.
//
// Threads: pure function.
#pragma once

#include <string_view>

#include "text/jinja/ast.h"

namespace fathom::jinja {

// The deepest tree that is accepted; real templates stay below 40.
inline constexpr int kMaxTreeDepth = 200;

// Throws SyntaxFault (lexer.h).
Body parse_template(std::string_view source);

}  // namespace fathom::jinja
