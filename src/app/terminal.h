// Standard input, output and the terminal behind them.
//
// Standard output carries model text or results alone; everything else goes to standard error.
// Threads: one.
#pragma once

#include <csignal>
#include <string>
#include <string_view>

namespace fathom {

bool input_is_terminal();
bool output_is_terminal();
bool errors_are_terminal();
// A person types, and sees on standard error what is typed, on a terminal that can move its cursor.
bool lines_can_be_edited();
// A line on standard error can be drawn over.
bool errors_can_be_redrawn();
// Standard input is a file or a pipe, so that there is something to read.
bool input_is_piped();

// Colour on standard output: a terminal that knows it, and NO_COLOR is not set.
bool colour_wanted();

// `text` with control characters shown instead of sent, and what is not UTF-8 as U+FFFD: escape
// becomes ␛, bell ␇, the one-byte forms of escape sequences (U+0080–U+009F) ␛ and a letter. New
// lines and tabs stay. What a model writes must never drive the terminal.
std::string visible(std::string_view bytes);

// Writes to standard output at once.
void print(std::string_view text);
// False once whoever read standard output has gone; what is left undone then ends with that status.
bool output_is_open();
inline constexpr int kReaderLeft = 128 + SIGPIPE;

std::string read_standard_input();
// Waits until standard input has something or is at its end; false where a stop is asked for
// (base/stop.h), even if the signal came just before.
bool wait_for_input();
// Whether something arrives on standard input, or its end, within `seconds`.
bool input_arrives(double seconds);

}  // namespace fathom
