// Flags that users bring along from llama.cpp, vLLM, SGLang and others and that only say how those
// run: taken with a note, so that a command line copied from there works.
#pragma once

#include "app/command_line.h"

namespace fathom {

void add_foreign_flags(Command& command);

}  // namespace fathom
