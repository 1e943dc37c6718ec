#include "data/packing.h"

#include <gtest/gtest.h>

#include <optional>

#include "base/error.h"
#include "io/files.h"
#include "io/json.h"

namespace fathom {
namespace {

Document document_of(std::vector<int32_t> ids) {
  Document document{std::move(ids), {}};
  document.weights.assign(document.ids.size(), 1.0f);
  return document;
}

Document numbered(int32_t count) {
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < count; ++i) ids.push_back(100 + i);
  return document_of(ids);
}

Batch packed(const std::vector<Document>& documents, const PackingConfig& config) {
  BatchBuilder builder(config);
  for (const Document& document : documents) builder.add(document);
  return builder.finish();
}

// The rule of each depth, stated again from the ids and the layout of depth 0.
void check_heads(const Batch& batch) {
  std::vector<int32_t> previous;  // the row of depth 0 behind each row of the depth before
  for (size_t k = 1; k <= batch.multi_token.size(); ++k) {
    const MultiTokenTargets& head = batch.multi_token[k - 1];
    ASSERT_EQ(head.rows.size(), head.ids.size());
    ASSERT_EQ(head.rows.size(), head.targets.size());
    ASSERT_EQ(head.rows.size(), head.weights.size());
    ASSERT_EQ(head.layout.tokens(), static_cast<int64_t>(head.rows.size()));
    ASSERT_EQ(head.layout.positions.size(), head.rows.size());
    std::vector<int32_t> base_rows;
    for (size_t r = 0; r < head.rows.size(); ++r) {
      const int32_t row = head.rows[r];
      if (r > 0) {
        EXPECT_GT(row, head.rows[r - 1]);
      }
      const int32_t base = k > 1 ? previous[static_cast<size_t>(row)] : row;
      base_rows.push_back(base);
      EXPECT_EQ(head.layout.positions[r], batch.layout.positions[static_cast<size_t>(base)]);
      EXPECT_EQ(head.weights[r] == 0.0f, head.targets[r] == kNoTarget);
      // All test ids count up by one inside a sequence.
      const int32_t id = batch.ids[static_cast<size_t>(base)];
      EXPECT_EQ(head.ids[r], id + static_cast<int32_t>(k));
      if (head.targets[r] != kNoTarget) {
        EXPECT_EQ(head.targets[r], id + static_cast<int32_t>(k) + 1);
      }
    }
    previous = std::move(base_rows);
  }
}

TEST(Packing, EachDocumentIsASequenceWithItsOwnPositions) {
  const Batch batch = packed({document_of({5, 6, 7}), document_of({8, 9})}, {});
  EXPECT_EQ(batch.ids, (std::vector<int32_t>{5, 6, 8}));
  EXPECT_EQ(batch.targets, (std::vector<int32_t>{6, 7, 9}));
  EXPECT_EQ(batch.layout.starts, (std::vector<int32_t>{0, 2, 3}));
  EXPECT_EQ(batch.layout.positions, (std::vector<int32_t>{0, 1, 0}));
  EXPECT_EQ(batch.weights, (std::vector<float>{1, 1, 1}));
  EXPECT_TRUE(batch.layout.cached.empty());
}

TEST(Packing, AWeightFollowsTheTokenThatIsPredicted) {
  Document document = document_of({5, 6, 7, 8});
  document.weights = {0, 0, 0.5f, 1};
  const Batch batch = packed({document}, {.num_nextn_predict_layers = 1});
  EXPECT_EQ(batch.weights, (std::vector<float>{0, 0.5f, 1}));
  EXPECT_EQ(batch.multi_token[0].weights, (std::vector<float>{0.5f, 1}));
}

TEST(Packing, MultiTokenHeadsSeeAndPredictTheTokensFurtherOn) {
  const Batch batch = packed({document_of({5, 6, 7, 8}), document_of({20, 21, 22})},
                             {.num_nextn_predict_layers = 2});
  const MultiTokenTargets& first = batch.multi_token[0];
  EXPECT_EQ(first.rows, (std::vector<int32_t>{0, 1, 3}));
  EXPECT_EQ(first.ids, (std::vector<int32_t>{6, 7, 21}));
  EXPECT_EQ(first.targets, (std::vector<int32_t>{7, 8, 22}));
  EXPECT_EQ(first.layout.starts, (std::vector<int32_t>{0, 2, 3}));
  EXPECT_EQ(first.layout.positions, (std::vector<int32_t>{0, 1, 0}));
  const MultiTokenTargets& second = batch.multi_token[1];
  EXPECT_EQ(second.rows, (std::vector<int32_t>{0}));
  EXPECT_EQ(second.ids, (std::vector<int32_t>{7}));
  EXPECT_EQ(second.targets, (std::vector<int32_t>{8}));
  EXPECT_EQ(second.layout.starts, (std::vector<int32_t>{0, 1}));
  check_heads(batch);
}

TEST(Packing, RowsWithoutATargetStayWhenAskedFor) {
  const Batch batch = packed({document_of({5, 6, 7})},
                             {.num_nextn_predict_layers = 1, .keep_rows_without_target = true});
  EXPECT_EQ(batch.targets, (std::vector<int32_t>{6, 7, kNoTarget}));
  EXPECT_EQ(batch.weights, (std::vector<float>{1, 1, 0}));
  EXPECT_EQ(batch.multi_token[0].rows, (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(batch.multi_token[0].targets, (std::vector<int32_t>{7, kNoTarget}));
  check_heads(batch);
}

TEST(Packing, SequencesWithoutRowsAreNotListed) {
  const Batch batch = packed({document_of({5}), document_of({6, 7}), document_of({})}, {});
  EXPECT_EQ(batch.layout.starts, (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(batch.ids, (std::vector<int32_t>{6}));
}

TEST(Packing, AnEmptyBuilderGivesAnEmptyBatch) {
  BatchBuilder builder({.num_nextn_predict_layers = 1});
  const Batch batch = builder.finish();
  EXPECT_EQ(batch.tokens(), 0);
  EXPECT_EQ(batch.layout.sequences(), 0);
  EXPECT_EQ(batch.multi_token.size(), 1u);
}

TEST(Packing, ADocumentsRowsDoNotDependOnItsNeighbours) {
  const PackingConfig config{.num_nextn_predict_layers = 1};
  const Document second = document_of({8, 9, 10});
  const Batch alone = packed({second}, config);
  for (const Document& first : {document_of({5, 6, 7}), document_of({11, 12, 13})}) {
    const Batch batch = packed({first, second}, config);
    const auto tail = [](const std::vector<int32_t>& values, size_t from) {
      return std::vector<int32_t>(values.begin() + static_cast<std::ptrdiff_t>(from), values.end());
    };
    const size_t start = static_cast<size_t>(batch.layout.starts[1]);
    EXPECT_EQ(tail(batch.ids, start), alone.ids);
    EXPECT_EQ(tail(batch.targets, start), alone.targets);
    EXPECT_EQ(tail(batch.layout.positions, start), alone.layout.positions);
  }
}

TEST(Packing, WindowsTargetTheTokensBehindThem) {
  const Document stream = numbered(10);
  const PackingConfig config{.num_nextn_predict_layers = 2};
  BatchBuilder builder(config);
  add_window(builder, stream, 3, 4, config);
  const Batch batch = builder.finish();
  EXPECT_EQ(batch.ids, (std::vector<int32_t>{103, 104, 105, 106}));
  EXPECT_EQ(batch.targets, (std::vector<int32_t>{104, 105, 106, 107}));
  EXPECT_EQ(batch.layout.positions, (std::vector<int32_t>{0, 1, 2, 3}));
  EXPECT_EQ(batch.multi_token[0].targets, (std::vector<int32_t>{105, 106, 107, 108}));
  EXPECT_EQ(batch.multi_token[1].targets, (std::vector<int32_t>{106, 107, 108, 109}));
  check_heads(batch);
}

TEST(Packing, WindowsInOrderPredictEveryTokenOnce) {
  for (const int64_t row_tokens : {1, 3, 4, 9, 50}) {
    std::vector<int32_t> targets;
    int64_t batches = 0;
    for (const Batch& batch :
         windows_in_order(numbered(10), row_tokens, 2, {.num_nextn_predict_layers = 1})) {
      EXPECT_LE(batch.layout.sequences(), 2);
      EXPECT_GT(batch.tokens(), 0);
      targets.insert(targets.end(), batch.targets.begin(), batch.targets.end());
      check_heads(batch);
      ++batches;
    }
    EXPECT_EQ(targets, (std::vector<int32_t>{101, 102, 103, 104, 105, 106, 107, 108, 109}));
    const int64_t rows = (9 + row_tokens - 1) / row_tokens;
    EXPECT_EQ(batches, (rows + 1) / 2);
  }
}

TEST(Packing, DocumentsInOrderStayBelowTheBudget) {
  std::vector<Document> documents;
  for (int32_t count : {3, 4, 2, 5, 6}) documents.push_back(numbered(count));
  const std::vector<Batch> batches =
      pack_in_order(documents, 7, {.keep_rows_without_target = true});
  ASSERT_EQ(batches.size(), 3u);
  EXPECT_EQ(batches[0].tokens(), 7);
  EXPECT_EQ(batches[1].tokens(), 7);
  EXPECT_EQ(batches[2].tokens(), 6);
  EXPECT_THROW(pack_in_order(documents, 5, {}), Error);
}

// --- the published case

std::vector<std::optional<int64_t>> without_padding(const Json& list, size_t tokens) {
  std::vector<std::optional<int64_t>> values;
  for (size_t i = 0; i < tokens; ++i) {
    const Json& item = list.at(i);
    values.push_back(item.is_null() ? std::nullopt : std::optional(item.as_int()));
  }
  return values;
}

std::vector<std::optional<int64_t>> labels_of(const Batch& batch) {
  std::vector<std::optional<int64_t>> labels;
  for (const int32_t target : batch.targets) {
    labels.push_back(target == kNoTarget ? std::nullopt : std::optional<int64_t>(target));
  }
  return labels;
}

TEST(Packing, ArraysOfCaseB48WithoutItsPadding) {
  const std::string path = FATHOM_SHARED_DIR "/cases/data/B48.json";
  if (!exists(path)) GTEST_SKIP() << path << " is absent";
  const Json file = parse_json(read_file(path), path);
  for (const Json& check : file.at("checks").items()) {
    SCOPED_TRACE(check.string_at("name"));
    const Json& input = check.at("input");
    const Json& expect = check.at("expect");
    if (!expect.contains("input_ids")) continue;  // a property of the model, not of the arrays
    std::vector<Document> documents;
    for (const Json& item : input.at("documents").items()) {
      std::vector<int32_t> ids;
      for (const Json& id : item.items()) ids.push_back(static_cast<int32_t>(id.as_int()));
      ids.push_back(static_cast<int32_t>(input.int_at("eos")));
      documents.push_back(document_of(ids));
    }
    if (!input.bool_at("isolate_samples")) documents = {concatenate(documents)};
    const Batch batch = packed(documents, {.keep_rows_without_target = true});
    const size_t tokens = batch.ids.size();
    EXPECT_EQ(labels_of(batch), without_padding(expect.at("labels"), tokens));
    EXPECT_DOUBLE_EQ(batch.weight_sum(), expect.double_at("supervised"));
    for (size_t i = 0; i < tokens; ++i) {
      EXPECT_EQ(batch.ids[i], expect.at("input_ids").at(i).as_int());
      EXPECT_EQ(batch.layout.positions[i], expect.at("position_ids").at(i).as_int());
    }
    for (size_t i = tokens; i < expect.at("input_ids").size(); ++i) {
      EXPECT_EQ(expect.at("input_ids").at(i).as_int(), input.int_at("pad"));
    }
  }
}

}  // namespace
}  // namespace fathom
