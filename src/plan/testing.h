// Helpers of the planner's tests.
#pragma once

#include <gtest/gtest.h>

#include <cmath>

namespace fathom::testing {

inline constexpr double kExact = 1e-9, kClose = 1e-3, kRounded = 5e-3;  // relative

inline void expect_within(double got, double expected, double relative, const char* what) {
  EXPECT_LE(std::abs(got - expected), relative * std::abs(expected))
      << what << ": got " << got << ", expected " << expected << " within " << relative;
}

}  // namespace fathom::testing
