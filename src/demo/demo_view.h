// Printing what happens in the demo and in GRPO runs: one redrawn block on a terminal, plain lines
// in a pipe, JSON lines for machines.
//
// Threads: one.
#pragma once

#include "io/json.h"
#include "train/run_events.h"

namespace fathom {

// Takes the events of run_demo (demo.h) and of run_grpo (align/grpo_run.h). kJson writes to
// standard output, the others to standard error; the table at the end goes to standard output.
RunEvents demo_events(ProgressStyle style);

// An event as one line without control characters, or "" where it is not worth one.
std::string demo_line(const Json& event);
// Before and after, the second task and the control, and where the report lies; "" where nothing
// was compared.
std::string demo_table(const Json& summary);
// "✓ 3+9+8+2+5+9 mod 10  →  <think>3 2 0 2 7 6</think>6", without control characters.
std::string sample_line(const Json& sample);

}  // namespace fathom
