#include "train/run_charts.h"

#include <algorithm>

#include "base/text.h"

namespace fathom {
namespace {

constexpr double kDarkest = 2;  // twice the mean load

std::vector<double> over_mean(const std::vector<Json>& counts) {
  std::vector<double> load;
  double sum = 0;
  for (const Json& count : counts) {
    load.push_back(count.as_double("expert_load"));
    sum += load.back();
  }
  if (sum <= 0) return load;
  for (double& value : load) value *= static_cast<double>(load.size()) / sum;
  return load;
}

}  // namespace

Series metrics_series(const Metrics& metrics, const std::string& column, const std::string& name) {
  MetricsColumn values = metrics.column(column);
  return {name, std::move(values.step), std::move(values.value)};
}

LineChart metrics_chart(const Metrics& metrics, const std::string& title,
                        const std::string& y_label, const std::vector<ColumnOfChart>& columns) {
  LineChart chart;
  chart.title = title;
  chart.x_label = "step";
  chart.y_label = y_label;
  for (const ColumnOfChart& of : columns) {
    Series series = metrics_series(metrics, of.column, of.name);
    if (!series.x.empty()) chart.series.push_back(std::move(series));
  }
  return chart;
}

std::vector<HeatStrip> expert_strips(const Metrics& metrics, const std::string& title) {
  std::vector<HeatStrip> strips;
  for (const Json& row : metrics.rows) {
    const Json* load = row.find("expert_load");
    if (load == nullptr) continue;
    const std::vector<Json>& layers = load->items("expert_load");
    while (strips.size() < layers.size()) {
      HeatStrip strip;
      strip.title = concat(title, ", expert layer ", strips.size() + 1);
      strip.x_label = "step";
      strip.row_label = "expert";
      strip.full = kDarkest;
      strips.push_back(std::move(strip));
    }
    for (size_t layer = 0; layer < layers.size(); ++layer) {
      strips[layer].x.push_back(row.double_at("step"));
      strips[layer].values.push_back(over_mean(layers[layer].items("expert_load")));
    }
  }
  return strips;
}

}  // namespace fathom
