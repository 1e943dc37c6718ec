// Builds a report as one HTML file that needs nothing else: no network, no script to be read.
//
//   Report report("Nano run", "seed 7, 2000 steps");
//   report.heading("Pretraining");
//   report.line_chart({.title = "Loss", .x_label = "step", .y_label = "nats",
//                      .series = {{"train", steps, losses}}});
//   report.save("report.html");
//
// All text is escaped. The data of each chart stands in the page as JSON, in an element whose id is
// "data-" and the chart's title in lower case with dashes ("data-loss"; repeated titles get
// "-2"...).
//
// Threads: one thread at a time.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "report/charts.h"

namespace fathom {

// A figure that matters, shown big.
struct KeyNumber {
  std::string label;
  std::string value;
  std::string note;
};

class Report {
 public:
  explicit Report(std::string title, std::string subtitle = "");

  void heading(std::string_view text);  // a section; three or more are linked at the top
  void subheading(std::string_view text);
  void text(std::string_view paragraph);
  void numbers(const std::vector<KeyNumber>& numbers);
  // Columns whose cells all look like numbers stand to the right, unless `align` has a letter for
  // them: l, c or r for each column.
  void table(const std::vector<std::string>& headers,
             const std::vector<std::vector<std::string>>& rows, std::string_view align = "");
  void code(std::string_view text);  // commands, samples: spaces and line breaks are kept
  void line_chart(const LineChart& chart);
  void heat_strip(const HeatStrip& strip);
  void bar_chart(const BarChart& chart);
  void footer(std::string_view text);

  std::string html() const;
  void save(const std::string& path) const;  // replaces the file at once

 private:
  std::string unique_id(std::string_view prefix, std::string_view name);

  std::string title_;
  std::string subtitle_;
  std::string body_;
  std::string footer_;
  std::vector<std::pair<std::string, std::string>> sections_;  // id, heading
  std::set<std::string> ids_;
};

}  // namespace fathom
