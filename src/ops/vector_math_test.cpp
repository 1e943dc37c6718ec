// Exponentials against the double-precision library on every instruction set of this machine.
#include "ops/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/vector_math_test.cpp"
#include <hwy/foreach_target.h>

#include "ops/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fathom {
namespace HWY_NAMESPACE {

void exp2_all(const float* x, float* y, int64_t count) {
  map(x, y, count, [](VF32 t) HWY_ATTR { return exp2_nonpositive(t); });
}

void exp_all(const float* x, float* y, int64_t count) {
  map(x, y, count, [](VF32 t) HWY_ATTR { return exp_of(t); });
}

}  // namespace HWY_NAMESPACE
}  // namespace fathom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <cmath>
#include <limits>
#include <vector>

#include "ops/simd_testing.h"

namespace fathom {
namespace {

HWY_EXPORT(exp2_all);
HWY_EXPORT(exp_all);

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> evenly(float from, float to, int64_t count) {
  std::vector<float> x(static_cast<size_t>(count));
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = from + (to - from) * (static_cast<float>(i) / static_cast<float>(count - 1));
  }
  return x;
}

// The largest error in units of the last place of the exact value.
double worst_ulps(const std::vector<float>& y, const std::vector<float>& x,
                  double (*exact)(double)) {
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double expected = exact(static_cast<double>(x[i]));
    int exponent = 0;
    std::frexp(expected, &exponent);
    worst = std::max(
        worst, std::abs(static_cast<double>(y[i]) - expected) / std::ldexp(1.0, exponent - 24));
  }
  return worst;
}

TEST(VectorMath, ExponentialsStayWithinOneAndAHalfUnits) {
  testing::for_each_simd_target([] {
    for (const float range : {1.0f, 20.0f, 126.0f}) {
      const std::vector<float> x = evenly(-range, 0, 40001);
      std::vector<float> y(x.size());
      HWY_DYNAMIC_DISPATCH(exp2_all)(x.data(), y.data(), static_cast<int64_t>(x.size()));
      EXPECT_LT(worst_ulps(y, x, [](double t) { return std::exp2(t); }), 1.5) << range;
    }
    for (const float range : {1.0f, 20.0f, 87.0f}) {
      const std::vector<float> x = evenly(-range, range, 40001);
      std::vector<float> y(x.size());
      HWY_DYNAMIC_DISPATCH(exp_all)(x.data(), y.data(), static_cast<int64_t>(x.size()));
      EXPECT_LT(worst_ulps(y, x, [](double t) { return std::exp(t); }), 1.5) << range;
    }
  });
}

TEST(VectorMath, ExponentialsAreExactAtZeroBoundedAtTheEndsAndKeepNaN) {
  testing::for_each_simd_target([] {
    const std::vector<float> low = {0, -0.0f, -126, -127, -1000, -kInfinity};
    std::vector<float> y(low.size());
    HWY_DYNAMIC_DISPATCH(exp2_all)(low.data(), y.data(), static_cast<int64_t>(low.size()));
    EXPECT_EQ(y, (std::vector<float>{1, 1, 0x1p-126f, 0x1p-126f, 0x1p-126f, 0x1p-126f}));
    const std::vector<float> ends = {0, -100, -kInfinity, 100, kInfinity};
    y.resize(ends.size());
    HWY_DYNAMIC_DISPATCH(exp_all)(ends.data(), y.data(), static_cast<int64_t>(ends.size()));
    EXPECT_EQ(y[0], 1.0f);
    EXPECT_LT(y[1], 0x1p-125f);
    EXPECT_GE(y[1], 0.0f);
    EXPECT_EQ(y[2], y[1]);
    EXPECT_GT(y[3], 0x1p127f);
    EXPECT_TRUE(std::isfinite(y[3]));
    EXPECT_EQ(y[4], y[3]);
    const float nan = std::numeric_limits<float>::quiet_NaN();
    HWY_DYNAMIC_DISPATCH(exp2_all)(&nan, y.data(), 1);
    HWY_DYNAMIC_DISPATCH(exp_all)(&nan, y.data() + 1, 1);
    EXPECT_TRUE(std::isnan(y[0]) && std::isnan(y[1]));
  });
}

}  // namespace
}  // namespace fathom
#endif  // HWY_ONCE
