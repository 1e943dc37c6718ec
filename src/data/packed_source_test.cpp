#include "data/packed_source.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/error.h"
#include "data/shard_writer.h"
#include "io/files.h"

namespace fathom {
namespace {

// Packed text whose token i is i, so that ids tell places.
class PackedSourceTest : public testing::Test {
 protected:
  void SetUp() override { remove_all(folder_); }
  void TearDown() override { remove_all(folder_); }

  std::unique_ptr<PackedText> counted(int64_t tokens, int64_t shard_tokens) {
    const std::string folder = join_path(folder_, concat("t", tokens));
    make_directories(folder);
    ShardWriter writer(folder, 4, shard_tokens);
    for (int64_t at = 0; at < tokens; ++at) {
      const auto id = static_cast<int32_t>(at);
      writer.append(std::span(&id, 1));
      if (at % 7 == 6 || at + 1 == tokens) writer.end_document();
    }
    PackedSummary summary;
    summary.tokens = tokens;
    summary.tokenizer_hash = "0";
    summary.shards = writer.finish();
    write_file_atomically(join_path(folder, kPackedManifest), to_json(summary).dump());
    return std::make_unique<PackedText>(std::vector<std::string>{folder});
  }
  std::string folder_ = testing::TempDir() + "packed_source_test";
};

const PackedSourceConfig kConfig{.row_tokens = 16, .rows = 6, .held_out_rows = 4, .seed = 3};

TEST_F(PackedSourceTest, RowsAreStretchesOfTheStreamAndPredictTheNextToken) {
  PackedSource source(counted(5000, 300), kConfig);
  for (int64_t step = 0; step < 40; ++step) {
    const Batch batch = source.batch(step, {});
    ASSERT_EQ(batch.tokens(), 6 * 16);
    for (size_t i = 0; i < batch.ids.size(); ++i) {
      EXPECT_EQ(batch.targets[i], batch.ids[i] + 1);
      if (i % 16 != 0) {
        EXPECT_EQ(batch.ids[i], batch.ids[i - 1] + 1);
      }
    }
  }
}

TEST_F(PackedSourceTest, AStepIsTheSameAfterAResumeAndHoweverItIsCut) {
  PackedSource whole(counted(5000, 300), kConfig);
  std::vector<std::vector<int32_t>> steps;
  for (int64_t step = 0; step < 120; ++step) steps.push_back(whole.batch(step, {}).ids);
  for (const int64_t begin : {0, 1, 37, 119}) {
    PackedSource resumed(counted(5000, 300), kConfig);
    for (int64_t step = begin; step < 120; ++step) {
      std::vector<int32_t> ids;
      for (int64_t part = 0; part < 4; ++part) {
        const Batch batch = resumed.batch(step, {part, 4});
        ids.insert(ids.end(), batch.ids.begin(), batch.ids.end());
      }
      ASSERT_EQ(ids, steps[static_cast<size_t>(step)]) << "step " << step << " from " << begin;
    }
    EXPECT_EQ(resumed.identity(), whole.identity());
  }
  EXPECT_NE(steps[0], steps[1]);
}

TEST_F(PackedSourceTest, APassSeesEachWindowOnceAndNeverAHeldOutToken) {
  PackedSource source(counted(5000, 300), kConfig);
  std::set<int32_t> held;
  int64_t held_rows = 0;
  for (const Batch& batch : source.held_out(3)) {
    held.insert(batch.ids.begin(), batch.ids.end());
    held.insert(batch.targets.begin(), batch.targets.end());
    held_rows += batch.tokens() / 16;
  }
  EXPECT_EQ(held_rows, 4);
  EXPECT_EQ(held.size(), 4u * 17);
  // Segments of 1250 tokens, 17 of each held out: 77 windows in each, 308 in a pass.
  std::map<int32_t, int> seen;
  std::vector<int32_t> starts;
  for (int64_t step = 0; step < 2 * 308 / 6 + 1; ++step) {
    const Batch batch = source.batch(step, {});
    for (size_t i = 0; i < batch.ids.size(); ++i) {
      if (i % 16 == 0) starts.push_back(batch.ids[i]);
      EXPECT_FALSE(held.contains(batch.ids[i]) || held.contains(batch.targets[i]));
    }
  }
  const std::set<int32_t> first(starts.begin(), starts.begin() + 308);
  const std::set<int32_t> second(starts.begin() + 308, starts.begin() + 616);
  EXPECT_EQ(first.size(), 308u);
  EXPECT_EQ(second.size(), 308u);
  EXPECT_FALSE(std::equal(starts.begin(), starts.begin() + 308, starts.begin() + 308));
  for (auto it = std::next(first.begin()); it != first.end(); ++it)
    EXPECT_GE(*it - *std::prev(it), 16);
}

TEST_F(PackedSourceTest, MultiTokenTargetsStayInTheirSegment) {
  PackedSourceConfig config = kConfig;
  config.packing.num_nextn_predict_layers = 2;
  PackedSource source(counted(5000, 5000), config);
  std::set<int32_t> held;
  for (const Batch& batch : source.held_out(1)) held.insert(batch.ids.begin(), batch.ids.end());
  for (int64_t step = 0; step < 60; ++step) {
    for (const MultiTokenTargets& head : source.batch(step, {}).multi_token) {
      for (const int32_t target : head.targets) EXPECT_FALSE(held.contains(target));
    }
  }
}

TEST_F(PackedSourceTest, TextThatIsTooShortIsRefusedAndTheLeastIsTaken) {
  PackedSourceConfig config = kConfig;
  config.held_out_rows = 1;
  EXPECT_THROW(PackedSource(counted(33, 100), config), Error);
  PackedSource source(counted(34, 100), config);
  EXPECT_EQ(source.batch(0, {}).ids[0], 0);
  EXPECT_EQ(source.held_out(9)[0].ids[0], 17);
}

TEST_F(PackedSourceTest, SpreadRowsComeFromEverywhere) {
  const auto text = counted(1000, 100);
  const std::vector<Batch> batches = spread_rows(*text, 16, 10, 4, {});
  ASSERT_EQ(batches.size(), 3u);
  EXPECT_EQ(batches[0].ids[16], 100);
  EXPECT_EQ(batches[2].ids[16], 900);
  EXPECT_EQ(spread_rows(*text, 400, 10, 4, {})[0].tokens(), 800);
}

TEST_F(PackedSourceTest, HeldOutRowsAreAShareUpToALimit) {
  EXPECT_EQ(held_out_rows(10000, 100, 0.1, 1 << 18), 10);
  EXPECT_EQ(held_out_rows(100, 100, 0.1, 1 << 18), 1);
  EXPECT_EQ(held_out_rows(int64_t{1} << 40, 256, 0.1, 1 << 18), 1024);
}

}  // namespace
}  // namespace fathom
