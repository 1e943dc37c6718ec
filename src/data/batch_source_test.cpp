#include "data/batch_source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "base/error.h"

namespace fathom {
namespace {

Document numbered(int32_t first, int32_t count) {
  Document document;
  for (int32_t i = 0; i < count; ++i) document.ids.push_back(first + i);
  document.weights.assign(document.ids.size(), 1.0f);
  return document;
}

std::vector<Document> hundreds(const std::vector<int32_t>& lengths) {
  std::vector<Document> documents;
  for (size_t i = 0; i < lengths.size(); ++i) {
    documents.push_back(numbered(static_cast<int32_t>(100 * i), lengths[i]));
  }
  return documents;
}

const std::vector<int32_t> kLengths = {5, 9, 3, 7, 2, 8, 4, 6, 5, 3};

// First ids of the sequences, in order.
std::vector<int32_t> firsts(const Batch& batch) {
  std::vector<int32_t> ids;
  for (int64_t s = 0; s < batch.layout.sequences(); ++s) {
    ids.push_back(batch.ids[static_cast<size_t>(batch.layout.starts[static_cast<size_t>(s)])]);
  }
  return ids;
}

void expect_equal(const Batch& a, const Batch& b) {
  EXPECT_EQ(a.ids, b.ids);
  EXPECT_EQ(a.targets, b.targets);
  EXPECT_EQ(a.weights, b.weights);
  EXPECT_EQ(a.layout.starts, b.layout.starts);
  EXPECT_EQ(a.layout.positions, b.layout.positions);
  ASSERT_EQ(a.multi_token.size(), b.multi_token.size());
  for (size_t k = 0; k < a.multi_token.size(); ++k) {
    EXPECT_EQ(a.multi_token[k].rows, b.multi_token[k].rows);
    EXPECT_EQ(a.multi_token[k].ids, b.multi_token[k].ids);
    EXPECT_EQ(a.multi_token[k].targets, b.multi_token[k].targets);
  }
}

struct NamedSource {
  std::string name;
  std::unique_ptr<BatchSource> source;
};

// One of each kind; two calls give equal, independent sources.
std::vector<NamedSource> all_sources(uint64_t seed) {
  const PackingConfig packing{.num_nextn_predict_layers = 1};
  std::vector<NamedSource> sources;
  for (const WindowOrder order : {WindowOrder::kRandom, WindowOrder::kShuffled}) {
    const WindowConfig config{
        .row_tokens = 7, .rows = 5, .order = order, .seed = seed, .packing = packing};
    sources.push_back({order == WindowOrder::kRandom ? "random windows" : "shuffled windows",
                       std::make_unique<WindowSource>(numbered(0, 200), config)});
  }
  sources.push_back(
      {"documents", std::make_unique<DocumentSource>(
                        hundreds(kLengths),
                        DocumentBatchConfig{.documents = 4, .seed = seed, .packing = packing})});
  sources.push_back(
      {"token budget",
       std::make_unique<DocumentSource>(
           hundreds(kLengths),
           DocumentBatchConfig{.token_budget = 20, .seed = seed, .packing = packing})});
  sources.push_back(
      {"mixture", std::make_unique<MixtureSource>(
                      nano_tokenizer(), pretraining_mixture(true),
                      MixtureBatchConfig{.documents = 6, .seed = seed, .packing = packing})});
  return sources;
}

TEST(BatchSource, AResumedSourceContinuesBitForBit) {
  std::vector<NamedSource> whole = all_sources(1), resumed = all_sources(1);
  for (size_t i = 0; i < whole.size(); ++i) {
    SCOPED_TRACE(whole[i].name);
    for (int64_t step = 0; step < 30; ++step) {
      const Batch batch = whole[i].source->batch(step, {});
      if (step >= 17) expect_equal(batch, resumed[i].source->batch(step, {}));
    }
    expect_equal(whole[i].source->batch(3, {}), resumed[i].source->batch(3, {}));
    EXPECT_EQ(whole[i].source->identity(), resumed[i].source->identity());
  }
}

TEST(BatchSource, PartsJoinToTheWholeStep) {
  for (const NamedSource& named : all_sources(2)) {
    SCOPED_TRACE(named.name);
    const Batch whole = named.source->batch(5, {});
    for (const int64_t count : {1, 2, 3, 11}) {
      std::vector<int32_t> ids, targets;
      int64_t sequences = 0;
      for (int64_t index = 0; index < count; ++index) {
        const Batch part = named.source->batch(5, {index, count});
        ids.insert(ids.end(), part.ids.begin(), part.ids.end());
        targets.insert(targets.end(), part.targets.begin(), part.targets.end());
        sequences += part.layout.sequences();
      }
      EXPECT_EQ(ids, whole.ids);
      EXPECT_EQ(targets, whole.targets);
      EXPECT_EQ(sequences, whole.layout.sequences());
    }
  }
}

TEST(BatchSource, AnotherSeedGivesOtherBatchesAndAnotherIdentity) {
  std::vector<NamedSource> one = all_sources(1), two = all_sources(2);
  for (size_t i = 0; i < one.size(); ++i) {
    SCOPED_TRACE(one[i].name);
    EXPECT_NE(one[i].source->batch(0, {}).ids, two[i].source->batch(0, {}).ids);
    EXPECT_NE(one[i].source->identity(), two[i].source->identity());
    EXPECT_NE(one[i].source->batch(0, {}).ids, one[i].source->batch(1, {}).ids);
    EXPECT_THROW(one[i].source->batch(-1, {}), Error);
    EXPECT_THROW(one[i].source->batch(0, {2, 2}), Error);
  }
}

TEST(BatchSource, IdentityNoticesOtherContent) {
  const WindowConfig config{.row_tokens = 7};
  Document changed = numbered(0, 200);
  changed.ids[150] = 7;
  EXPECT_NE(WindowSource(numbered(0, 200), config).identity(),
            WindowSource(changed, config).identity());
}

TEST(WindowSource, RowsAreRunsOfTheStreamWithAllTargets) {
  for (const WindowOrder order : {WindowOrder::kRandom, WindowOrder::kShuffled}) {
    WindowSource source(numbered(0, 50), {.row_tokens = 7, .rows = 4, .order = order});
    for (int64_t step = 0; step < 20; ++step) {
      const Batch batch = source.batch(step, {});
      ASSERT_EQ(batch.tokens(), 28);
      for (size_t r = 0; r < 28; ++r) {
        EXPECT_EQ(batch.ids[r], batch.ids[r - r % 7] + static_cast<int32_t>(r % 7));
        EXPECT_EQ(batch.targets[r], batch.ids[r] + 1);
        EXPECT_EQ(batch.layout.positions[r], static_cast<int32_t>(r % 7));
      }
    }
  }
}

TEST(WindowSource, RandomWindowsReachBothEnds) {
  WindowSource source(numbered(0, 12), {.row_tokens = 8, .rows = 100});
  const std::vector<int32_t> starts = firsts(source.batch(0, {}));
  EXPECT_EQ(std::set<int32_t>(starts.begin(), starts.end()), (std::set<int32_t>{0, 1, 2, 3}));
}

TEST(WindowSource, APassOfShuffledWindowsHasNoOverlap) {
  WindowSource source(numbered(0, 78),
                      {.row_tokens = 7, .rows = 11, .order = WindowOrder::kShuffled});
  std::set<int32_t> offsets;
  for (int64_t step = 0; step < 40; ++step) {
    std::vector<int32_t> starts = firsts(source.batch(step, {}));
    std::sort(starts.begin(), starts.end());
    for (size_t i = 1; i < starts.size(); ++i) EXPECT_EQ(starts[i], starts[i - 1] + 7);
    offsets.insert(starts[0]);
  }
  EXPECT_EQ(offsets, (std::set<int32_t>{0}));  // 77 targets leave no room to move
  WindowSource roomy(numbered(0, 80),
                     {.row_tokens = 7, .rows = 11, .order = WindowOrder::kShuffled});
  for (int64_t step = 0; step < 40; ++step) {
    const std::vector<int32_t> starts = firsts(roomy.batch(step, {}));
    offsets.insert(*std::min_element(starts.begin(), starts.end()));
  }
  EXPECT_EQ(offsets, (std::set<int32_t>{0, 1, 2}));
}

TEST(WindowSource, RefusesTextShorterThanARow) {
  EXPECT_THROW(WindowSource(numbered(0, 7), {.row_tokens = 7}), Error);
  EXPECT_NO_THROW(WindowSource(numbered(0, 8), {.row_tokens = 7}));
}

TEST(DocumentSource, EveryPassSeesEachDocumentOnce) {
  DocumentSource source(hundreds(kLengths), {.documents = 5});
  std::set<std::vector<int32_t>> orders;
  for (int64_t pass = 0; pass < 4; ++pass) {
    std::vector<int32_t> seen = firsts(source.batch(2 * pass, {}));
    for (const int32_t id : firsts(source.batch(2 * pass + 1, {}))) seen.push_back(id);
    orders.insert(seen);
    EXPECT_EQ(std::set<int32_t>(seen.begin(), seen.end()).size(), 10u);
  }
  EXPECT_EQ(orders.size(), 4u);
}

TEST(DocumentSource, KnowsTheLargestPartOfARun) {
  for (const int64_t parts : {1, 2, 3}) {
    DocumentSource source(hundreds({90, 2, 5, 7, 3, 2, 2, 3}),
                          {.documents = 3, .packing = {.keep_rows_without_target = true}});
    int64_t most = 0;
    for (int64_t step = 0; step < 20; ++step) {
      for (int64_t part = 0; part < parts; ++part)
        most = std::max(most, source.batch(step, {part, parts}).tokens());
    }
    EXPECT_EQ(source.most_tokens(20, parts), most);
    EXPECT_EQ(source.most_tokens(0, parts), 0);
  }
}

TEST(DocumentSource, WithoutShufflingKeepsTheOrderGiven) {
  DocumentSource source(hundreds({2, 2, 2}), {.documents = 2, .shuffle = false});
  EXPECT_EQ(firsts(source.batch(0, {})), (std::vector<int32_t>{0, 100}));
  EXPECT_EQ(firsts(source.batch(1, {})), (std::vector<int32_t>{200, 0}));
}

TEST(DocumentSource, ABudgetIsFilledButNotExceeded) {
  DocumentSource source(hundreds(kLengths),
                        {.token_budget = 20, .packing = {.keep_rows_without_target = true}});
  std::map<int32_t, int> visits;
  for (int64_t step = 0; step < 30; ++step) {
    const Batch batch = source.batch(step, {});
    EXPECT_LE(batch.tokens(), 20);
    EXPECT_GT(batch.tokens(), 20 - 9);  // the next document, of at most nine tokens, did not fit
    for (const int32_t id : firsts(batch)) ++visits[id];
  }
  const auto [fewest, most] =
      std::minmax_element(visits.begin(), visits.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; });
  EXPECT_EQ(visits.size(), 10u);
  EXPECT_LE(most->second - fewest->second, 1);
}

TEST(DocumentSource, RefusesWhatItCannotServe) {
  EXPECT_THROW(DocumentSource({}, {.documents = 1}), Error);
  EXPECT_THROW(DocumentSource(hundreds({3, 9}), {.token_budget = 8}), Error);
  EXPECT_THROW(DocumentSource(hundreds({3, 1}), {.token_budget = 8}), Error);
  EXPECT_THROW(DocumentSource(hundreds({3}), {}), Error);
  EXPECT_THROW(DocumentSource(hundreds({3}), {.documents = 1, .token_budget = 8}), Error);
}

}  // namespace
}  // namespace fathom
