#include "report/charts.h"

#include <gtest/gtest.h>

#include <cmath>

#include "io/json.h"
#include "io/testing.h"

namespace fathom {
namespace {

// The data a page holds under `id`.
Json data_of(const std::string& html, const std::string& id) {
  const std::string open = "<script type=\"application/json\" id=\"" + id + "\">";
  const size_t begin = html.find(open);
  const size_t end = html.find("</script>", begin);
  if (begin == std::string::npos || end == std::string::npos) return {};
  return parse_json(html.substr(begin + open.size(), end - begin - open.size()), id);
}

std::vector<double> doubles_of(const Json& array) {
  std::vector<double> values;
  for (const Json& item : array.items()) values.push_back(item.is_null() ? NAN : item.as_double());
  return values;
}

size_t count_of(const std::string& text, std::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// The corners of the first path of a line chart.
std::vector<std::pair<double, double>> path_of(const std::string& html) {
  const size_t begin = html.find("<path d=\"") + 9;
  std::string path = html.substr(begin, html.find('"', begin) - begin);
  for (char& c : path) c = c == 'M' || c == 'L' ? ' ' : c;
  std::istringstream numbers(path);
  std::vector<std::pair<double, double>> corners;
  for (double x = 0, y = 0; numbers >> x >> y;) corners.emplace_back(x, y);
  return corners;
}

TEST(LineChart, HoldsTheExactDataItDraws) {
  const Series loss = {"loss", {1, 2, 3}, {0.1, 1.0 / 3, 2}};
  const LineChart chart = {"Loss", "step", "nats", false, {loss, {"held out", {3}, {2.5}}}};
  const Json data = data_of(line_chart_html(chart, "data-loss"), "data-loss");
  EXPECT_EQ(data.string_at("title"), "Loss");
  EXPECT_EQ(data.at("series").size(), 2u);
  EXPECT_EQ(data.at("series").at(0).string_at("name"), "loss");
  EXPECT_EQ(doubles_of(data.at("series").at(0).at("x")), loss.x);
  EXPECT_EQ(doubles_of(data.at("series").at(0).at("y")), loss.y);
}

TEST(LineChart, DrawsGreaterValuesHigherAndLaterOnesFurtherRight) {
  const std::string html =
      line_chart_html({"t", "x", "y", false, {{"a", {0, 5, 10}, {0, 50, 100}}}}, "d");
  const auto corners = path_of(html);
  ASSERT_EQ(corners.size(), 3u);
  EXPECT_EQ(corners[0].first, 62);
  EXPECT_EQ(corners[2].first, 846);
  EXPECT_EQ(corners[1].first, (62 + 846) / 2);
  EXPECT_EQ(corners[0].second, 286);  // zero lies on the axis
  EXPECT_NEAR(corners[1].second, (corners[0].second + corners[2].second) / 2, 0.11);
  EXPECT_LT(corners[2].second, corners[1].second);
}

TEST(LineChart, SpacesDecadesEvenlyOnALogarithmicScale) {
  const auto corners =
      path_of(line_chart_html({"t", "x", "y", true, {{"a", {0, 1, 2}, {1, 10, 100}}}}, "d"));
  ASSERT_EQ(corners.size(), 3u);
  EXPECT_NEAR(corners[0].second - corners[1].second, corners[1].second - corners[2].second, 0.11);
}

TEST(LineChart, LeavesGapsAtValuesItCannotShow) {
  const Series series = {"a", {0, 1, 2, 3, 4}, {1, NAN, 2, INFINITY, 3}};
  const std::string html = line_chart_html({"t", "x", "y", false, {series}}, "d");
  const size_t begin = html.find("<path d=\"");
  EXPECT_EQ(count_of(html.substr(begin, html.find("\"><title>", begin) - begin), "M"), 3u);
  EXPECT_TRUE(data_of(html, "d").at("series").at(0).at("y").at(1).is_null());
  const std::string log = line_chart_html({"t", "x", "y", true, {{"a", {0, 1}, {0, -1}}}}, "d");
  EXPECT_NE(log.find("no data"), std::string::npos);
}

TEST(LineChart, ShowsThatThereIsNoData) {
  for (const bool log_y : {false, true}) {
    const std::string html = line_chart_html({"t", "x", "y", log_y, {}}, "d");
    EXPECT_NE(html.find("no data"), std::string::npos);
    EXPECT_EQ(html.find("nan"), std::string::npos);
    EXPECT_EQ(html.find("inf"), std::string::npos);
  }
}

TEST(LineChart, ShowsAConstantAndASinglePoint) {
  const std::string html = line_chart_html({"t", "x", "y", false, {{"a", {7}, {3}}}}, "d");
  EXPECT_EQ(html.find("nan"), std::string::npos);
  EXPECT_EQ(count_of(html, "<circle"), 1u);
  const auto corners =
      path_of(line_chart_html({"t", "x", "y", false, {{"a", {0, 1}, {3, 3}}}}, "d"));
  ASSERT_EQ(corners.size(), 2u);
  EXPECT_EQ(corners[0].second, corners[1].second);
}

TEST(LineChart, StaysSmallForAHundredThousandPointsAndKeepsASpike) {
  Series series = {"a", {}, {}};
  for (int i = 0; i < 100000; ++i) {
    series.x.push_back(i);
    series.y.push_back(i == 54321 ? 100 : i % 2);
  }
  const std::string html = line_chart_html({"t", "x", "y", false, {series}}, "d");
  EXPECT_LT(html.find("<script"), 60000u);
  double highest = 1000;
  for (const auto& [x, y] : path_of(html)) highest = std::min(highest, y);
  EXPECT_LT(highest, 50);
  EXPECT_EQ(data_of(html, "d").at("series").at(0).at("y").size(), 100000u);
}

TEST(LineChart, NamesAllSeriesAndDashesThoseBeyondTheColours) {
  LineChart chart = {"t", "x", "y", false, {}};
  for (int i = 0; i < 9; ++i) chart.series.push_back({concat("layer ", i), {0, 1}, {0, 1}});
  const std::string html = line_chart_html(chart, "d");
  for (int i = 0; i < 9; ++i) EXPECT_NE(html.find(concat("layer ", i)), std::string::npos);
  EXPECT_NE(html.find("series s0 dashed"), std::string::npos);
  EXPECT_EQ(count_of(html, "series s0"), 2u);
}

TEST(LineChart, CannotBeBrokenOutOfByNames) {
  const std::string evil = "</script><script>alert('x')</script>\"&";
  const LineChart chart = {evil, evil, evil, false, {{evil, {1}, {2}}}};
  const std::string html = line_chart_html(chart, "d");
  EXPECT_EQ(html.find("<script>"), std::string::npos);
  EXPECT_EQ(count_of(html, "</script>"), 1u);
  EXPECT_EQ(data_of(html, "d").string_at("title"), evil);
}

TEST(LineChart, RefusesSeriesOfUnequalLength) {
  EXPECT_NE(error_of([] {
              line_chart_html({"Loss", "x", "y", false, {{"train", {1, 2}, {1}}}}, "d");
            }).find("\"train\" has 2 x and 1 y"),
            std::string::npos);
}

TEST(HeatStrip, HoldsItsDataAndDrawsMoreAsDarker) {
  const HeatStrip strip = {"Load", "step", "expert", {1, 2}, {{0, 1}, {0.5, 0.25}}, 0};
  const std::string html = heat_strip_html(strip, "data-load");
  const Json data = data_of(html, "data-load");
  EXPECT_EQ(doubles_of(data.at("values").at(1)), strip.values[1]);
  EXPECT_EQ(doubles_of(data.at("x")), strip.x);
  EXPECT_EQ(count_of(html, "fill-opacity=\"1.00\""), 1u);
  EXPECT_EQ(count_of(html, "fill-opacity=\"0.50\""), 1u);
  EXPECT_EQ(count_of(html, "fill-opacity=\"0.25\""), 1u);
  EXPECT_EQ(count_of(html, "class=\"heat\""), 3u);  // zero is not drawn
  EXPECT_NE(html.find("expert 1: mean 0.625, least 0.25, greatest 1"), std::string::npos);
}

TEST(HeatStrip, IsDrawnAgainstTheGivenFullValue) {
  const std::string html = heat_strip_html({"t", "x", "e", {1}, {{1, 2, 9}}, 4}, "d");
  EXPECT_EQ(count_of(html, "fill-opacity=\"0.25\""), 1u);
  EXPECT_EQ(count_of(html, "fill-opacity=\"0.50\""), 1u);
  EXPECT_EQ(count_of(html, "fill-opacity=\"1.00\""), 1u);
}

TEST(HeatStrip, AveragesManyStepsIntoFewColumns) {
  HeatStrip strip = {"t", "x", "e", {}, {}, 1};
  for (int step = 0; step < 3200; ++step) {
    strip.x.push_back(step);
    strip.values.push_back({step % 2 == 0 ? 1.0 : 0.0, 1.0});
  }
  const std::string html = heat_strip_html(strip, "d");
  EXPECT_EQ(count_of(html, "fill-opacity=\"0.50\""), 1u);
  EXPECT_EQ(count_of(html, "fill-opacity=\"1.00\""), 1u);
  EXPECT_LT(html.find("<script"), 5000u);
}

TEST(HeatStrip, MayBeEmptyButNotRagged) {
  EXPECT_NE(heat_strip_html({"t", "x", "e", {}, {}, 0}, "d").find("no data"), std::string::npos);
  const std::string odd = heat_strip_html({"t", "x", "e", {1, 2}, {{NAN}, {0}}, 0}, "d");
  EXPECT_EQ(count_of(odd, "class=\"heat\""), 0u);
  EXPECT_NE(error_of([] { heat_strip_html({"t", "x", "e", {1, 2}, {{1}, {1, 2}}, 0}, "d"); }), "");
  EXPECT_NE(error_of([] { heat_strip_html({"t", "x", "e", {1}, {{1}, {1}}, 0}, "d"); }), "");
}

TEST(BarChart, DrawsLengthsInProportionAndHoldsItsData) {
  const BarChart chart = {
      "Accuracy", "share", {"add", "sort"}, {{"before", {0.2, 0}}, {"after", {0.8, NAN}}}};
  const std::string html = bar_chart_html(chart, "data-accuracy");
  const auto width_after = [&](std::string_view title) {
    const size_t end = html.find(title);
    const size_t begin = html.rfind("width=\"", end) + 7;
    return std::stod(html.substr(begin));
  };
  EXPECT_NEAR(width_after("add, after: 0.8") / width_after("add, before: 0.2"), 4, 0.01);
  EXPECT_NE(html.find("n/a"), std::string::npos);
  EXPECT_EQ(doubles_of(data_of(html, "data-accuracy").at("series").at(0).at("values")),
            chart.series[0].values);
  EXPECT_NE(error_of([] { bar_chart_html({"t", "v", {"a", "b"}, {{"s", {1}}}}, "d"); }), "");
}

TEST(BarChart, ShortensLongLabelsBetweenCharacters) {
  std::string label;
  for (int i = 0; i < 60; ++i) label += "é";
  const std::string html = bar_chart_html({"t", "v", {label}, {{"s", {1}}}}, "d");
  EXPECT_FALSE(invalid_utf8_offset(html));
  EXPECT_NE(html.find("…</text>"), std::string::npos);
}

TEST(EscapeHtml, LeavesNoMarkup) {
  EXPECT_EQ(escape_html("<a href=\"x\">'&'</a>"),
            "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
}

}  // namespace
}  // namespace fathom
