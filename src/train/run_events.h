// Printing a run's events: one redrawn block on a terminal, plain lines in a pipe, JSON lines for
// machines.
#pragma once

#include <memory>

#include "train/run.h"

namespace fathom {

enum class ProgressStyle { kBlock, kLines, kJson };

// kJson writes to standard output, the others to standard error; `summary` lines go to standard
// output.
RunEvents print_events(ProgressStyle style);

}  // namespace fathom
