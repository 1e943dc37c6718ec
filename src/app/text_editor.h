// A text in the user's own editor: $VISUAL, $EDITOR or vi.
//
// Threads: one; the terminal is the editor's until the function returns.
#pragma once

#include <optional>
#include <string>

namespace fathom {

// The text as it was left, without its final line end; nothing where the editor failed.
std::optional<std::string> edited_text(const std::string& text);

}  // namespace fathom
