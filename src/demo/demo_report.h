// The demo's results for people and machines: the summary object, the report page, the model card.
#pragma once

#include "demo/demo.h"
#include "demo/demo_state.h"

namespace fathom {

// {"event":"summary", …}: see docs/demo.md.
Json demo_summary(const DemoConfig& config, const DemoRecipe& recipe, const DemoState& state, const ModelConfig& model,
                  double wall_s);

// OUT/report.html from the chapters' metrics files; `summary` null while the demo runs.
void write_demo_report(const DemoConfig& config, const DemoRecipe& recipe, const DemoState& state, const Json& summary);

ModelCard demo_card(const DemoConfig& config, const DemoRecipe& recipe, const DemoState& state);

// The command that repeats this demo.
std::string demo_command(const DemoConfig& config);

}  // namespace fathom
