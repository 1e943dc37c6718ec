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

TEST(CheckModelFits, SaysWhatIsNeededWhatIsThereAndTheWayOut) {
  ModelBenchOptions options;
  options.preset = "v3";
  try {
    check_model_fits(options, ModelBenchKind::kTraining, 24e9);
    ADD_FAILURE() << "v3 does not train in 24 GB";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kMemory);
    const std::string text = error.what();
    EXPECT_NE(text.find("v3 trains in 10.9 TB or more (16 bytes for each of 682.6 B parameters); "
                        "available are 24.0 GB. Choose a smaller preset"),
              std::string::npos)
        << text;
    EXPECT_EQ(text.find("--rollout"), std::string::npos) << text;
  }
  options.preset = "v2-lite";
  EXPECT_THROW(check_model_fits(options, ModelBenchKind::kTraining, 100e9), Error);
  EXPECT_NO_THROW(check_model_fits(options, ModelBenchKind::kRollout, 100e9));
}

}  // namespace
}  // namespace fathom
