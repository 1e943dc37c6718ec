#include "report/charts.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "io/json.h"
#include "report/scale.h"

namespace fathom {
namespace {

// All in the units of the SVG's viewBox, which the page scales to its width.
constexpr double kWidth = 860;
constexpr double kLeft = 62;
constexpr double kRight = kWidth - 14;
constexpr int kSeriesColours = 8;     // of the page's style; later series repeat them dashed
constexpr size_t kMostDots = 40;      // points of a series that get a dot of their own
constexpr size_t kDensePoints = 600;  // from here on a line is drawn finer
constexpr size_t kHeatLevels = 16;    // shades of a heat strip
constexpr size_t kMostHeatColumns = 160;

std::string pixels(double value) {
  std::string text = fixed(value, 1);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text == "-0" ? "0" : text;
}

std::string number_text(double value) {
  return std::isfinite(value) ? concat(value) : "not a number";
}

std::string series_class(size_t index) {
  const size_t colour = index % kSeriesColours;
  return concat("s", colour, index >= kSeriesColours ? " dashed" : "");
}

std::string svg_text(double x, double y, std::string_view anchor, std::string_view text) {
  return concat("<text x=\"", pixels(x), "\" y=\"", pixels(y), "\" text-anchor=\"", anchor, "\">",
                escape_html(text), "</text>");
}

std::string svg_line(double x1, double y1, double x2, double y2, std::string_view css_class) {
  return concat("<line class=\"", css_class, "\" x1=\"", pixels(x1), "\" y1=\"", pixels(y1),
                "\" x2=\"", pixels(x2), "\" y2=\"", pixels(y2), "\"/>");
}

std::string svg_open(std::string_view title, double height, std::string_view attributes = "") {
  return concat("<svg viewBox=\"0 0 ", kWidth, " ", pixels(height), "\" role=\"img\" aria-label=\"",
                escape_html(title), "\"", attributes, ">\n");
}

std::string caption(std::string_view title, std::string_view legend) {
  return concat("<figcaption><span class=\"title\">", escape_html(title), "</span>", legend,
                "</figcaption>\n");
}

std::string legend_item(size_t index, std::string_view name) {
  return concat("<span class=\"key\"><i class=\"", series_class(index), "\"></i>",
                escape_html(name), "</span>");
}

template <class SomeSeries>
std::string legend_of(const std::vector<SomeSeries>& series) {
  std::string legend;
  for (size_t i = 0; i < series.size(); ++i) legend += legend_item(i, series[i].name);
  return legend;
}

// Numbers that JSON cannot hold become null.
Json json_of(const std::vector<double>& values) {
  Json array = Json::array();
  for (const double value : values) array.push_back(std::isfinite(value) ? Json(value) : Json());
  return array;
}

// In JSON '<' stands in strings only; escaped there, no text of a series can end the element.
std::string data_element(const Json& data, std::string_view id) {
  std::string text;
  for (const char c : data.dump()) {
    if (c == '<') {
      text += "\\u003c";
    } else {
      text += c;
    }
  }
  return concat("<script type=\"application/json\" id=\"", escape_html(id), "\">", text,
                "</script>\n");
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

// ---- lines ------------------------------------------------------------------------------------

namespace {

constexpr double kLineHeight = 330;
constexpr double kLineTop = 26;
constexpr double kLineBottom = kLineHeight - 44;

struct Axes {
  Scale x;
  Scale y;
};

Axes axes_of(const LineChart& chart) {
  std::vector<double> xs;
  std::vector<double> ys;
  for (const Series& series : chart.series) {
    xs.insert(xs.end(), series.x.begin(), series.x.end());
    ys.insert(ys.end(), series.y.begin(), series.y.end());
  }
  Axes axes = {scale_over(xs, false, kLeft, kRight),
               scale_over(ys, chart.log_y, kLineBottom, kLineTop)};
  if (chart.log_y) return axes;
  // Air above and below; zero is kept where the values come near it.
  const double margin = (axes.y.high - axes.y.low) * 0.05;
  const bool is_near_zero = axes.y.low >= 0 && axes.y.low < axes.y.high * 0.3;
  axes.y.low = is_near_zero ? 0 : axes.y.low - margin;
  axes.y.high += margin;
  return axes;
}

std::string grid_of(const LineChart& chart, const Axes& axes) {
  std::string svg = "<g class=\"grid\">";
  for (const double tick : ticks_of(axes.y, 5)) {
    const double y = axes.y.at(tick);
    svg +=
        svg_line(kLeft, y, kRight, y, "rule") + svg_text(kLeft - 8, y + 4, "end", tick_text(tick));
  }
  for (const double tick : ticks_of(axes.x, 8)) {
    const double x = axes.x.at(tick);
    svg += svg_line(x, kLineBottom, x, kLineBottom + 5, "tick") +
           svg_text(x, kLineBottom + 19, "middle", tick_text(tick));
  }
  svg += svg_line(kLeft, kLineBottom, kRight, kLineBottom, "axis");
  svg += svg_text(kLeft, 12, "start", chart.y_label + (chart.log_y ? " (log)" : ""));
  svg += svg_text(kRight, kLineHeight - 6, "end", chart.x_label);
  return svg + "</g>\n";
}

// The runs of neighbouring points that can be shown; a value that cannot breaks the line.
std::vector<std::vector<Point>> runs_of(const Series& series, const Axes& axes) {
  std::vector<std::vector<Point>> runs(1);
  for (size_t i = 0; i < series.x.size(); ++i) {
    if (axes.x.shows(series.x[i]) && axes.y.shows(series.y[i])) {
      runs.back().push_back({axes.x.at(series.x[i]), axes.y.at(series.y[i])});
    } else if (!runs.back().empty()) {
      runs.emplace_back();
    }
  }
  if (runs.back().empty()) runs.pop_back();
  return runs;
}

std::string path_of(const std::vector<std::vector<Point>>& runs) {
  std::string path;
  for (const std::vector<Point>& run : runs) {
    const bool is_ordered = std::is_sorted(
        run.begin(), run.end(), [](const Point& a, const Point& b) { return a.x < b.x; });
    const std::vector<Point> shown =
        is_ordered ? thinned(run, static_cast<int>(kRight - kLeft)) : run;
    for (size_t i = 0; i < shown.size(); ++i) {
      path += (i == 0 ? "M" : "L") + pixels(shown[i].x) + " " + pixels(shown[i].y);
    }
    if (shown.size() == 1) path += "h0";  // with round caps a line of no length is a dot
  }
  return path;
}

std::string dots_of(const Series& series, const Axes& axes) {
  if (series.x.size() > kMostDots) return "";
  std::string svg;
  for (size_t i = 0; i < series.x.size(); ++i) {
    if (!axes.x.shows(series.x[i]) || !axes.y.shows(series.y[i])) continue;
    svg += concat("<circle cx=\"", pixels(axes.x.at(series.x[i])), "\" cy=\"",
                  pixels(axes.y.at(series.y[i])), "\" r=\"2.6\"><title>", escape_html(series.name),
                  ": ", number_text(series.y[i]), " at ", number_text(series.x[i]),
                  "</title></circle>");
  }
  return svg;
}

std::string series_svg(const Series& series, size_t index, const Axes& axes) {
  const std::vector<std::vector<Point>> runs = runs_of(series, axes);
  if (runs.empty()) return "";
  // A dense curve is drawn finer, so that its noise does not hide the others.
  const std::string_view dense = series.x.size() > kDensePoints ? " dense" : "";
  return concat("<g class=\"series ", series_class(index), dense, "\"><path d=\"", path_of(runs),
                "\"><title>", escape_html(series.name), ", last ", number_text(series.y.back()),
                "</title></path>", dots_of(series, axes), "</g>\n");
}

Json line_data(const LineChart& chart) {
  Json all = Json::array();
  for (const Series& series : chart.series) {
    all.push_back(
        Json::object({{"name", series.name}, {"x", json_of(series.x)}, {"y", json_of(series.y)}}));
  }
  return Json::object({{"kind", "line"},
                       {"title", chart.title},
                       {"x_label", chart.x_label},
                       {"y_label", chart.y_label},
                       {"log_y", chart.log_y},
                       {"series", std::move(all)}});
}

// What the page's script needs to show values under the pointer.
std::string scale_attributes(const Axes& axes) {
  const Json scale = Json::object({{"left", axes.x.from},
                                   {"right", axes.x.to},
                                   {"bottom", axes.y.from},
                                   {"top", axes.y.to},
                                   {"x", Json::array({axes.x.low, axes.x.high})},
                                   {"y", Json::array({axes.y.low, axes.y.high})},
                                   {"log", axes.y.is_log}});
  return concat(" data-scale=\"", escape_html(scale.dump()), "\"");
}

}  // namespace

std::string line_chart_html(const LineChart& chart, std::string_view data_id) {
  for (const Series& series : chart.series) {
    FATHOM_CHECK(series.x.size() == series.y.size(), "chart \"", chart.title, "\": series \"",
                 series.name, "\" has ", series.x.size(), " x and ", series.y.size(), " y");
  }
  const Axes axes = axes_of(chart);
  std::string lines;
  for (size_t i = 0; i < chart.series.size(); ++i) lines += series_svg(chart.series[i], i, axes);
  if (lines.empty()) lines = svg_text((kLeft + kRight) / 2, kLineHeight / 2, "middle", "no data");
  return concat("<figure class=\"line\">\n", caption(chart.title, legend_of(chart.series)),
                svg_open(chart.title, kLineHeight, scale_attributes(axes)), grid_of(chart, axes),
                lines, "</svg>\n", data_element(line_data(chart), data_id), "</figure>\n");
}

// ---- heat -------------------------------------------------------------------------------------

namespace {

struct HeatGrid {
  std::vector<double> x;                    // of each column: that of its first step
  std::vector<std::vector<double>> values;  // [columns][rows], NaN where there is none
  size_t rows = 0;
  double full = 0;
};

// Neighbouring columns averaged until they are few enough to be seen.
HeatGrid heat_grid(const HeatStrip& strip) {
  HeatGrid grid;
  grid.rows = strip.values.empty() ? 0 : strip.values[0].size();
  const size_t columns = std::min(strip.values.size(), kMostHeatColumns);
  for (size_t column = 0; column < columns; ++column) {
    const size_t begin = column * strip.values.size() / columns;
    const size_t end = (column + 1) * strip.values.size() / columns;
    std::vector<double> means(grid.rows, NAN);
    for (size_t row = 0; row < grid.rows; ++row) {
      double sum = 0;
      for (size_t i = begin; i < end; ++i) sum += strip.values[i][row];
      means[row] = sum / static_cast<double>(end - begin);
      if (std::isfinite(means[row])) grid.full = std::max(grid.full, means[row]);
    }
    grid.x.push_back(strip.x[begin]);
    grid.values.push_back(std::move(means));
  }
  if (strip.full > 0) grid.full = strip.full;
  return grid;
}

size_t heat_level(double value, double full) {
  if (!std::isfinite(value) || full <= 0) return 0;
  return static_cast<size_t>(std::lround(std::clamp(value / full, 0.0, 1.0) * kHeatLevels));
}

// One path a shade: cells are many, and this is ten times smaller than one element each. Equal
// neighbours in a row join.
std::string heat_cells(const HeatGrid& grid, double cell_width, double cell_height) {
  std::array<std::string, kHeatLevels + 1> paths;
  for (size_t row = 0; row < grid.rows; ++row) {
    for (size_t column = 0; column < grid.values.size();) {
      const size_t level = heat_level(grid.values[column][row], grid.full);
      size_t end = column + 1;
      while (end < grid.values.size() && heat_level(grid.values[end][row], grid.full) == level)
        ++end;
      const double width = static_cast<double>(end - column) * cell_width;
      paths[level] += concat("M", pixels(kLeft + static_cast<double>(column) * cell_width), " ",
                             pixels(static_cast<double>(row) * cell_height + 4), "h", pixels(width),
                             "v", pixels(cell_height), "h", pixels(-width), "z");
      column = end;
    }
  }
  std::string svg;
  for (size_t level = 1; level <= kHeatLevels; ++level) {
    if (paths[level].empty()) continue;
    svg += concat("<path class=\"heat\" fill-opacity=\"",
                  fixed(static_cast<double>(level) / kHeatLevels, 2), "\" d=\"", paths[level],
                  "\"/>\n");
  }
  return svg;
}

// Invisible stripes that tell a row's numbers under the pointer.
std::string heat_titles(const HeatStrip& strip, const HeatGrid& grid, double cell_height) {
  std::string svg;
  for (size_t row = 0; row < grid.rows; ++row) {
    double least = INFINITY;
    double greatest = -INFINITY;
    double sum = 0;
    for (const std::vector<double>& column : strip.values) {
      least = std::min(least, column[row]);
      greatest = std::max(greatest, column[row]);
      sum += column[row];
    }
    svg += concat("<rect class=\"hover\" x=\"", kLeft, "\" y=\"",
                  pixels(static_cast<double>(row) * cell_height + 4), "\" width=\"", kRight - kLeft,
                  "\" height=\"", pixels(cell_height), "\"><title>", escape_html(strip.row_label),
                  " ", row, ": mean ", number_text(sum / static_cast<double>(strip.values.size())),
                  ", least ", number_text(least), ", greatest ", number_text(greatest),
                  "</title></rect>");
  }
  return svg;
}

std::string heat_axes(const HeatStrip& strip, const HeatGrid& grid, double cell_width,
                      double cell_height) {
  const double bottom = static_cast<double>(grid.rows) * cell_height + 4;
  std::string svg = "<g class=\"grid\">";
  for (const double row : linear_ticks(0, static_cast<double>(grid.rows) - 1, 5)) {
    if (row != std::floor(row)) continue;
    svg += svg_text(kLeft - 8, (row + 0.5) * cell_height + 8, "end", tick_text(row));
  }
  for (const double tick : linear_ticks(grid.x.front(), grid.x.back(), 8)) {
    // Steps are in order; a tick stands at the first column that reaches it.
    const auto found = std::lower_bound(grid.x.begin(), grid.x.end(), tick);
    const double column = static_cast<double>(std::min(found, grid.x.end() - 1) - grid.x.begin());
    const double x = kLeft + (column + 0.5) * cell_width;
    svg += svg_line(x, bottom, x, bottom + 5, "tick") +
           svg_text(x, bottom + 19, "middle", tick_text(tick));
  }
  svg += svg_text(kLeft, bottom + 38, "start", strip.row_label + " from top to bottom");
  svg += svg_text(kRight, bottom + 38, "end", strip.x_label);
  return svg + "</g>\n";
}

std::string heat_legend(double full) {
  std::string swatches;
  for (const double share : {0.0, 0.25, 0.5, 0.75, 1.0}) {
    swatches += concat("<i class=\"shade\" style=\"opacity:", share, "\"></i>");
  }
  return concat("<span class=\"key\">0 <span class=\"shades\">", swatches, "</span> ",
                tick_text(full), "</span>");
}

Json heat_data(const HeatStrip& strip) {
  Json values = Json::array();
  for (const std::vector<double>& column : strip.values) values.push_back(json_of(column));
  return Json::object({{"kind", "heat"},
                       {"title", strip.title},
                       {"x_label", strip.x_label},
                       {"row_label", strip.row_label},
                       {"x", json_of(strip.x)},
                       {"values", std::move(values)}});
}

}  // namespace

std::string heat_strip_html(const HeatStrip& strip, std::string_view data_id) {
  FATHOM_CHECK(strip.x.size() == strip.values.size(), "strip \"", strip.title, "\" has ",
               strip.x.size(), " x and ", strip.values.size(), " columns");
  for (const std::vector<double>& column : strip.values) {
    FATHOM_CHECK(column.size() == strip.values[0].size(), "strip \"", strip.title,
                 "\": columns of ", strip.values[0].size(), " and of ", column.size(), " rows");
  }
  const HeatGrid grid = heat_grid(strip);
  const double rows = static_cast<double>(std::max<size_t>(grid.rows, 1));
  const double cell_height = std::clamp(240 / rows, 3.0, 20.0);
  const double columns = static_cast<double>(std::max<size_t>(grid.values.size(), 1));
  const double cell_width = (kRight - kLeft) / columns;
  const double height = rows * cell_height + 4 + 44;
  const std::string body = grid.rows == 0
                               ? svg_text((kLeft + kRight) / 2, height / 2, "middle", "no data")
                               : heat_cells(grid, cell_width, cell_height) +
                                     heat_axes(strip, grid, cell_width, cell_height) +
                                     heat_titles(strip, grid, cell_height);
  return concat("<figure class=\"strip\">\n", caption(strip.title, heat_legend(grid.full)),
                svg_open(strip.title, height), body, "</svg>\n",
                data_element(heat_data(strip), data_id), "</figure>\n");
}

// ---- bars -------------------------------------------------------------------------------------

namespace {

constexpr double kBarHeight = 15;
constexpr double kBarGap = 3;      // between bars of one label
constexpr double kLabelGap = 14;   // between labels
constexpr double kValueRoom = 64;  // right of the longest bar, for its number
constexpr double kCharacter = 7;   // average width at the page's 12 px

std::string shortened(const std::string& label, size_t most) {
  size_t end = std::min(label.size(), most);
  if (end == label.size()) return label;
  while (end > 0 && (static_cast<unsigned char>(label[end]) & 0xC0) == 0x80)
    --end;  // whole characters
  return label.substr(0, end) + "…";
}

Json bar_data(const BarChart& chart) {
  Json all = Json::array();
  for (const BarSeries& series : chart.series) {
    all.push_back(Json::object({{"name", series.name}, {"values", json_of(series.values)}}));
  }
  return Json::object({{"kind", "bars"},
                       {"title", chart.title},
                       {"value_label", chart.value_label},
                       {"labels", chart.labels},
                       {"series", std::move(all)}});
}

std::string one_bar(const Scale& scale, double value, double y, size_t series,
                    std::string_view title) {
  if (!std::isfinite(value)) return svg_text(scale.at(0) + 6, y + 12, "start", "n/a");
  const double zero = scale.at(0);
  const double end = scale.at(value);
  return concat("<rect class=\"bar s", series % kSeriesColours, "\" x=\"",
                pixels(std::min(zero, end)), "\" y=\"", pixels(y), "\" width=\"",
                pixels(std::max(std::abs(end - zero), 1.0)), "\" height=\"", kBarHeight,
                "\" rx=\"2\"><title>", escape_html(title), "</title></rect>",
                svg_text(std::max(zero, end) + 6, y + 12, "start", tick_text(value)), "\n");
}

}  // namespace

std::string bar_chart_html(const BarChart& chart, std::string_view data_id) {
  std::vector<double> values = {0};
  for (const BarSeries& series : chart.series) {
    FATHOM_CHECK(series.values.size() == chart.labels.size(), "bars \"", chart.title,
                 "\": series \"", series.name, "\" has ", series.values.size(), " values for ",
                 chart.labels.size(), " labels");
    values.insert(values.end(), series.values.begin(), series.values.end());
  }
  size_t longest = 0;
  for (const std::string& label : chart.labels) longest = std::max(longest, label.size());
  const double left = std::clamp(static_cast<double>(longest) * kCharacter + 16, kLeft, 260.0);
  const Scale scale = scale_over(values, false, left, kRight - kValueRoom);
  std::string svg;
  double y = 8;
  for (size_t label = 0; label < chart.labels.size(); ++label) {
    const double group = static_cast<double>(chart.series.size()) * (kBarHeight + kBarGap);
    const size_t most = static_cast<size_t>((left - 16) / kCharacter);
    svg += svg_text(left - 10, y + group / 2 + 2, "end", shortened(chart.labels[label], most));
    for (size_t series = 0; series < chart.series.size(); ++series) {
      const double value = chart.series[series].values[label];
      svg += one_bar(
          scale, value, y, series,
          concat(chart.labels[label], ", ", chart.series[series].name, ": ", number_text(value)));
      y += kBarHeight + kBarGap;
    }
    y += kLabelGap;
  }
  svg += svg_line(scale.at(0), 2, scale.at(0), y - kLabelGap, "axis");
  svg += svg_text(kRight, y + 10, "end", chart.value_label);
  return concat("<figure class=\"bars\">\n", caption(chart.title, legend_of(chart.series)),
                svg_open(chart.title, y + 18), "<g class=\"grid\">", svg, "</g></svg>\n",
                data_element(bar_data(chart), data_id), "</figure>\n");
}

}  // namespace fathom
