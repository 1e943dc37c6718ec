// The demo's results for people and machines: the summary object, the report page, the model card.
//
// Threads: free functions, any. What each figure means is told in docs/demo.md.
#pragma once

#include "demo/demo.h"
#include "demo/demo_state.h"

namespace fathom {

// {"event":"summary", …}: the last line of --json. Every chapter but the second task and the
// control is done.
Json demo_summary(const DemoConfig& config, const DemoRecipe& recipe, const DemoState& state,
                  const ModelConfig& model, double wall_s);

// OUT/report.html from the chapters' metrics files; `summary` null while the demo runs.
void write_demo_report(const DemoConfig& config, const DemoRecipe& recipe, const DemoState& state,
                       const Json& summary);

ModelCard demo_card(const DemoConfig& config, const DemoRecipe& recipe, const DemoState& state);

// The command that repeats this demo.
std::string demo_command(const DemoConfig& config);

// Before and after as rows of text: {"accuracy at temperature 1", "0.186 ± 0.010", "0.999 ±
// 0.001"}. `after` may be null.
std::vector<std::vector<std::string>> exam_rows(const Json& before, const Json& after);

// What the figures of an exam do and do not show, as a sentence with the figures in it.
std::string honest_reading(const Json& before, const Json& after);

}  // namespace fathom
