#include <gtest/gtest.h>

#include "app/bench_model.h"
#include "app/bench_timing.h"
#include "model/presets.h"

namespace fathom {
namespace {

TEST(Quantile, InterpolatesBetweenSortedSamples) {
  EXPECT_EQ(quantile({3, 1, 2}, 0.5), 2);
  EXPECT_EQ(quantile({4, 1, 2, 3}, 0.5), 2.5);
  EXPECT_EQ(quantile({1, 2}, 1), 2);
  EXPECT_EQ(quantile({7}, 0.95), 7);
}

TEST(BusySeconds, CountsEverythingButIdleAndWaiting) {
  EXPECT_DOUBLE_EQ(busy_seconds("cpu  100 10 50 9000 700 3 7 30 0 0\ncpu0 1 1 1 1\n", 100), 2.0);
  EXPECT_LT(busy_seconds("", 100), 0);
  EXPECT_LT(busy_seconds("intr 1 2 3 4\n", 100), 0);
}

TEST(AttentionFlops, CountTheAttendedPairsOnly) {
  ModelConfig config = model_preset("tiny").config;  // 6 heads of 32
  EXPECT_DOUBLE_EQ(attention_flops(config, 1, 1), 2.0 * 6 * 64);
  EXPECT_DOUBLE_EQ(attention_flops(config, 2, 4), 2.0 * 2 * 6 * 64 * 10);
}

}  // namespace
}  // namespace fathom
