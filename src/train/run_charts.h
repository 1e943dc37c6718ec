// Charts of metrics.jsonl that the reports of training, GRPO and the demo share.
//
// A chart holds the file's numbers as they are: nothing is smoothed or left out.
// Threads: pure functions.
#pragma once

#include <string>
#include <vector>

#include "report/charts.h"
#include "report/metrics.h"

namespace fathom {

// One column of a metrics file as a curve; empty where no row has it.
Series metrics_series(const Metrics& metrics, const std::string& column, const std::string& name);

struct ColumnOfChart {
  std::string column;
  std::string name;  // in the legend
};

// Curves over steps; columns that no row has are left out.
LineChart metrics_chart(const Metrics& metrics, const std::string& title,
                        const std::string& y_label, const std::vector<ColumnOfChart>& columns);

// "expert_load" of every row, one strip for each expert layer: each expert's load over the mean of
// its layer, so that 1 is even.
std::vector<HeatStrip> expert_strips(const Metrics& metrics, const std::string& title);

}  // namespace fathom
