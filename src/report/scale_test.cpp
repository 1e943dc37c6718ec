#include "report/scale.h"

#include <gtest/gtest.h>

#include <cmath>

namespace fathom {
namespace {

TEST(LinearTicks, AreRoundValuesWithinTheRange) {
  EXPECT_EQ(linear_ticks(0, 10, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(linear_ticks(-1, 1, 4), (std::vector<double>{-1, -0.5, 0, 0.5, 1}));
  EXPECT_EQ(linear_ticks(13, 87, 3), (std::vector<double>{20, 40, 60, 80}));
}

TEST(LinearTicks, EndForAnyRange) {
  EXPECT_EQ(linear_ticks(3, 3, 5), std::vector<double>{3});
  EXPECT_EQ(linear_ticks(1e20, 1e20 + 20000, 5), std::vector<double>{1e20});
  EXPECT_LE(linear_ticks(-1e308, 1e308, 5).size(), 1u);
  for (const double size : {1e-300, 1e-9, 1.0, 7.3, 99.9, 1e12}) {
    const size_t count = linear_ticks(0, size, 5).size();
    EXPECT_GE(count, 3u) << size;
    EXPECT_LE(count, 9u) << size;
  }
}

TEST(LogarithmicTicks, AreDecadesWhereThereAreEnough) {
  EXPECT_EQ(logarithmic_ticks(1, 1000), (std::vector<double>{1, 10, 100, 1000}));
  EXPECT_EQ(logarithmic_ticks(1, 12), (std::vector<double>{1, 2, 5, 10}));
  EXPECT_GE(logarithmic_ticks(3.1, 3.4).size(), 3u);
  EXPECT_LE(logarithmic_ticks(1e-40, 1e40).size(), 10u);
}

TEST(TickText, IsShort) {
  EXPECT_EQ(tick_text(0), "0");
  EXPECT_EQ(tick_text(0.5), "0.5");
  EXPECT_EQ(tick_text(2000), "2000");
  EXPECT_EQ(tick_text(12000), "12k");
  EXPECT_EQ(tick_text(-1500000), "-1.5M");
  EXPECT_EQ(tick_text(3e9), "3B");
  EXPECT_EQ(tick_text(0.0003), "0.0003");
  EXPECT_EQ(tick_text(3e-5), "3e-5");
  EXPECT_EQ(tick_text(1e20), "1e20");
}

TEST(Scale, MapsItsEndsToTheEndsOfTheChart) {
  const Scale scale = scale_over({3, NAN, 7}, false, 100, 0);
  EXPECT_EQ(scale.at(3), 100);
  EXPECT_EQ(scale.at(7), 0);
  EXPECT_EQ(scale.at(5), 50);
  const Scale log = scale_over({1, -5, 0, 100}, true, 0, 10);
  EXPECT_NEAR(log.at(10), 5, 1e-12);
  EXPECT_FALSE(log.shows(0));
  EXPECT_FALSE(log.shows(INFINITY));
}

TEST(Scale, IsNeverEmpty) {
  for (const std::vector<double>& values :
       {std::vector<double>{}, {0, 0}, {5}, {-3}, {1e-300}, {NAN, INFINITY}}) {
    const Scale scale = scale_over(values, false, 0, 1);
    EXPECT_LT(scale.low, scale.high);
    const Scale log = scale_over(values, true, 0, 1);
    EXPECT_LT(log.low, log.high);
    EXPECT_GT(log.low, 0);
  }
}

TEST(Thinned, KeepsTheFirstLastLeastAndGreatestOfEachColumn) {
  std::vector<Point> points;
  for (int i = 0; i < 1000; ++i) points.push_back({double(i), i == 100 ? -9 : i == 900 ? 9 : 0.0});
  const std::vector<Point> kept = thinned(points, 10);
  EXPECT_LE(kept.size(), 44u);
  EXPECT_EQ(kept.front().x, 0);
  EXPECT_EQ(kept.back().x, 999);
  double least = 0;
  double greatest = 0;
  for (size_t i = 0; i < kept.size(); ++i) {
    EXPECT_TRUE(i == 0 || kept[i - 1].x < kept[i].x) << i;
    least = std::min(least, kept[i].y);
    greatest = std::max(greatest, kept[i].y);
  }
  EXPECT_EQ(least, -9);
  EXPECT_EQ(greatest, 9);
  EXPECT_EQ(thinned(points, 1000).size(), 1000u);
  EXPECT_EQ(thinned(std::vector<Point>(50, Point{1, 1}), 2).size(), 2u) << "all at one x";
}

}  // namespace
}  // namespace fathom
