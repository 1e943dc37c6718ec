#include "report/scale.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace fathom {

double Scale::at(double value) const {
  const double share = is_log ? (std::log(value) - std::log(low)) / (std::log(high) - std::log(low))
                              : (value - low) / (high - low);
  return from + share * (to - from);
}

bool Scale::shows(double value) const { return std::isfinite(value) && (!is_log || value > 0); }

Scale scale_over(const std::vector<double>& values, bool is_log, double from, double to) {
  Scale scale{INFINITY, -INFINITY, from, to, is_log};
  for (const double value : values) {
    if (!scale.shows(value)) continue;
    scale.low = std::min(scale.low, value);
    scale.high = std::max(scale.high, value);
  }
  if (scale.low > scale.high) {  // nothing to show
    scale.low = is_log ? 1 : 0;
    scale.high = is_log ? 10 : 1;
  }
  // A range too thin for doubles to tell apart is as good as empty.
  if (scale.high - scale.low <= std::abs(scale.high) * 1e-12) {
    const double margin = scale.low == 0 ? 1 : std::abs(scale.low) * 0.5;
    scale.low -= margin;
    scale.high += margin;
  }
  return scale;
}

std::vector<double> linear_ticks(double low, double high, int count) {
  const double rough = (high - low) / std::max(count, 1);
  const double thinnest = std::max(std::abs(low), std::abs(high)) * 1e-12;
  if (!(high - low > thinnest) || !std::isfinite(rough)) return {low};
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double lead = rough / power;  // 1 <= lead < 10
  const double step = power * (lead <= 1.5 ? 1 : lead <= 3.5 ? 2 : lead <= 7.5 ? 5 : 10);
  std::vector<double> ticks;
  const double slack = 1e-9;  // so that rounding does not lose a tick at an end
  const double first = std::ceil(low / step - slack);
  for (double i = first; i <= high / step + slack; ++i) ticks.push_back(i == 0 ? 0 : i * step);
  return ticks;
}

std::vector<double> logarithmic_ticks(double low, double high) {
  const int first = static_cast<int>(std::floor(std::log10(low)));
  const int last = static_cast<int>(std::ceil(std::log10(high)));
  const int decades = last - first;
  const int stride = decades > 10 ? decades / 6 : 1;
  const auto within = [&](std::initializer_list<double> leads) {
    std::vector<double> ticks;
    for (int decade = first; decade <= last; decade += stride) {
      for (const double lead : leads) {
        const double tick = lead * std::pow(10, decade);
        if (tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)) ticks.push_back(tick);
      }
    }
    return ticks;
  };
  std::vector<double> ticks = within({1});
  if (ticks.size() < 3) ticks = within({1, 2, 5});
  // A range within one decade reads best with even steps.
  return ticks.size() < 3 ? linear_ticks(low, high, 5) : ticks;
}

std::vector<double> ticks_of(const Scale& scale, int count) {
  return scale.is_log ? logarithmic_ticks(scale.low, scale.high)
                      : linear_ticks(scale.low, scale.high, count);
}

std::string tick_text(double value) {
  struct Unit {
    double size;
    const char* name;
  };
  constexpr std::array<Unit, 4> kUnits = {{{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "k"}}};
  std::array<char, 40> buffer;
  const double size = std::abs(value);
  if (size >= 1e15 || (size < 1e-3 && size > 0)) {
    std::snprintf(buffer.data(), buffer.size(), "%.3g", value);
    std::string text = buffer.data();
    // 3e-04 and 1e+20 as people write them
    if (const size_t zero = text.find("e-0"); zero != std::string::npos) text.erase(zero + 2, 1);
    if (const size_t plus = text.find("e+"); plus != std::string::npos) text.erase(plus + 1, 1);
    return text;
  }
  for (const Unit& unit : kUnits) {
    if (size < unit.size || (unit.size == 1e3 && size < 1e4)) continue;
    std::snprintf(buffer.data(), buffer.size(), "%.4g%s", value / unit.size, unit.name);
    return buffer.data();
  }
  std::snprintf(buffer.data(), buffer.size(), "%.4g", value);
  return buffer.data();
}

std::vector<Point> thinned(const std::vector<Point>& points, int columns) {
  if (columns <= 0 || points.size() <= static_cast<size_t>(columns) * 4) return points;
  const double low = points.front().x;
  const double range = points.back().x - low;
  const double width = range > 0 ? range / columns : 1;
  std::vector<Point> kept;
  for (size_t begin = 0; begin < points.size();) {
    const double column = std::floor((points[begin].x - low) / width);
    size_t end = begin + 1;
    while (end < points.size() && std::floor((points[end].x - low) / width) == column) ++end;
    const auto by_y = [](const Point& a, const Point& b) { return a.y < b.y; };
    const auto first = points.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto last = points.begin() + static_cast<std::ptrdiff_t>(end);
    const auto [least, greatest] = std::minmax_element(first, last, by_y);
    std::array<std::vector<Point>::const_iterator, 4> marks = {first, least, greatest, last - 1};
    std::sort(marks.begin(), marks.end());
    const auto distinct = std::unique(marks.begin(), marks.end());
    for (auto mark = marks.begin(); mark != distinct; ++mark) kept.push_back(**mark);
    begin = end;
  }
  return kept;
}

}  // namespace fathom
