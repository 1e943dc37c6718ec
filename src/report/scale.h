// From values to places on a chart, and the ticks between.
//
// Threads: free functions, any.
#pragma once

#include <string>
#include <vector>

namespace fathom {

// Maps [low, high], linear or logarithmic, onto [from, to] (pixels).
struct Scale {
  double low = 0;
  double high = 1;
  double from = 0;
  double to = 1;
  bool is_log = false;

  double at(double value) const;
  bool shows(double value) const;  // finite, and positive where the scale is logarithmic
};

// Over all values that can be shown, with a margin where all are equal.
Scale scale_over(const std::vector<double>& values, bool is_log, double from, double to);

// Round values (1, 2 or 5 times a power of ten apart) within [low, high], about `count` of them.
std::vector<double> linear_ticks(double low, double high, int count);
// Powers of ten within [low, high], with 2 and 5 times them where they alone are too few.
std::vector<double> logarithmic_ticks(double low, double high);
std::vector<double> ticks_of(const Scale& scale, int count);

std::string tick_text(double value);  // "0.5" "250" "12k" "1.5M" "3e-5"

struct Point {
  double x;
  double y;
};

// At most four points for each of `columns` pixel columns: the first, last, least and greatest of
// each, so that no spike is lost. The points are in order of x.
std::vector<Point> thinned(const std::vector<Point>& points, int columns);

}  // namespace fathom
