// Charts as HTML: inline SVG that needs no script and no other file, follows the page's light or
// dark colours, and carries its data as JSON beside it, so that a curve can be checked against its
// source.
//
// Threads: free functions, any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fathom {

struct Series {
  std::string name;
  std::vector<double> x;
  std::vector<double> y;  // as many as x; a value that is not finite is a gap
};

struct LineChart {
  std::string title;
  std::string x_label;
  std::string y_label;
  bool log_y = false;  // values of zero and below are gaps
  std::vector<Series> series;
};

// How much each row (an expert, a layer) had at each x (a step): darker is more.
struct HeatStrip {
  std::string title;
  std::string x_label;
  std::string row_label;                    // "expert"; rows are numbered from 0
  std::vector<double> x;                    // [columns], ascending
  std::vector<std::vector<double>> values;  // [columns][rows]
  double full = 0;                          // drawn darkest; 0: the greatest value
};

struct BarSeries {
  std::string name;            // "before", "after"
  std::vector<double> values;  // one a label
};

struct BarChart {
  std::string title;
  std::string value_label;
  std::vector<std::string> labels;  // "addition", "sorting"
  std::vector<BarSeries> series;    // bars of one label stand together
};

// Each gives one <figure>; `data_id` is the id of the element that holds the data as JSON.
std::string line_chart_html(const LineChart& chart, std::string_view data_id);
std::string heat_strip_html(const HeatStrip& strip, std::string_view data_id);
std::string bar_chart_html(const BarChart& chart, std::string_view data_id);

std::string escape_html(std::string_view text);  // for text and for attribute values

}  // namespace fathom
