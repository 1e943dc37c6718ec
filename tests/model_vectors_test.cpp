// Fathom against the published implementations: logits, gradients, greedy tokens and 100 AdamW
// steps of tiny random models.
//
// The vectors and how they were made: tests/vectors/MANIFEST.json, tests/reference/make_vectors.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "checkpoint/model_folder.h"
#include "data/packing.h"
#include "generate/engine.h"
#include "io/safetensors.h"
#include "ops/testing.h"
#include "test_device.h"
#include "train/trainer.h"

namespace fathom {
namespace {

using testing::to_doubles;

struct Vectors {
  explicit Vectors(const std::string& name)
      : folder(std::string(FATHOM_SOURCE_DIR) + "/tests/vectors/" + name),
        file(folder + "/vectors.safetensors") {}

  std::vector<double> floats(const std::string& name) const {
    const auto bytes = file.bytes(*file.find(name));
    const auto* values = reinterpret_cast<const float*>(bytes.data());
    return {values, values + bytes.size() / sizeof(float)};
  }
  std::vector<int32_t> ints(const std::string& name) const {
    const auto bytes = file.bytes(*file.find(name));
    const auto* values = reinterpret_cast<const int32_t*>(bytes.data());
    return {values, values + bytes.size() / sizeof(int32_t)};
  }

  std::string folder;
  SafetensorsFile file;
};

// Sequences of equal length as one batch in which every token but the first is predicted.
Batch batch_of(const std::vector<int32_t>& ids, int64_t rows, int64_t depth, bool keep_all_rows) {
  BatchBuilder builder({depth, keep_all_rows});
  const auto length = static_cast<int64_t>(ids.size()) / rows;
  const std::vector<float> weights(static_cast<size_t>(length), 1.0f);
  for (int64_t r = 0; r < rows; ++r) {
    builder.add({ids.data() + r * length, static_cast<size_t>(length)}, weights, length);
  }
  return builder.finish();
}

double largest(const std::vector<double>& values) {
  double result = 0;
  for (double v : values) result = std::max(result, std::abs(v));
  return result;
}

double worst_difference(const std::vector<double>& got, const std::vector<double>& expected) {
  EXPECT_EQ(got.size(), expected.size());
  double worst = 0;
  for (size_t i = 0; i < std::min(got.size(), expected.size()); ++i)
    worst = std::max(worst, std::abs(got[i] - expected[i]));
  return worst;
}

double relative_norm(const std::vector<double>& got, const std::vector<double>& expected) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += (got[i] - expected[i]) * (got[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  return std::sqrt(difference) / std::max(std::sqrt(norm), 1e-30);
}

// The gradient of one published tensor: its rows of the parameter that holds it.
std::vector<double> part_gradient(const Parameter& p, const ParameterPart& part) {
  std::vector<double> result(static_cast<size_t>(part.shape.elements()), 0.0);
  if (!p.grad->filled) return result;
  if (!p.grad->live.empty()) {
    const int64_t rows_per_expert = p.value.rows() / static_cast<int64_t>(p.grad->live.size());
    if (p.grad->live[static_cast<size_t>(part.row_begin / rows_per_expert)] == 0) return result;
  }
  const float* first = p.grad->value.data<float>() + p.first_element(part);
  std::copy_n(first, result.size(), result.begin());
  return result;
}

void expect_gradients(Decoder& decoder, const Vectors& vectors, const std::string& prefix) {
  int64_t compared = 0;
  for (Parameter* p : decoder.parameters()) {
    if (!p->trained) continue;
    for (const ParameterPart& part : p->parts) {
      if (vectors.file.find(prefix + part.name) == nullptr) continue;
      ++compared;
      const std::vector<double> expected = vectors.floats(prefix + part.name);
      if (largest(expected) == 0) {
        EXPECT_EQ(largest(part_gradient(*p, part)), 0) << part.name;
      } else {
        EXPECT_LE(relative_norm(part_gradient(*p, part), expected), 1e-4) << part.name;
      }
    }
  }
  EXPECT_GT(compared, 5);
}

class ModelVectors : public ::testing::TestWithParam<const char*> {
 protected:
  ModelVectors()
      : vectors(GetParam()),
        device(test_device()),
        model(load_model(vectors.folder, device.memory(), WeightsFor::kTraining)) {}

  std::vector<double> logits(const std::vector<int32_t>& ids) {
    Pass pass{device.kernels(), device.memory()};
    const Batch batch = batch_of(ids, 1, 0, true);
    return to_doubles(
        model.decoder->logits(pass, model.decoder->forward(pass, batch.ids, batch.layout)));
  }

  Vectors vectors;
  Device device;
  LoadedModel model;
};

class TrainedVectors : public ModelVectors {};     // the cases with gradients and training losses
class MultiTokenVectors : public ModelVectors {};  // the cases with a multi-token head

TEST_P(ModelVectors, LogitsAgree) {
  const std::vector<double> expected = vectors.floats("logits");
  EXPECT_LE(worst_difference(logits(vectors.ints("ids")), expected), 1e-4 * largest(expected));
}

TEST_P(ModelVectors, LogProbabilitiesAgree) {
  Trainer trainer(device.kernels(), device.memory(), *model.decoder, {});
  const Batch batch = batch_of(vectors.ints("ids"), 1, 0, false);
  EXPECT_LE(worst_difference(trainer.logprobs(batch), vectors.floats("log_probs")), 1e-4);
}

TEST_P(ModelVectors, GreedyTokensAreEqual) {
  Engine engine(device.kernels(), device.memory(), *model.decoder, {});
  Request request;
  request.prompt = vectors.ints("ids");
  request.max_tokens = 64;
  request.sampling.temperature = 0;
  EXPECT_EQ(generate(engine, {request})[0][0].ids, vectors.ints("greedy"));
}

TEST_P(TrainedVectors, GradientsAgree) {
  Trainer trainer(device.kernels(), device.memory(), *model.decoder, {});
  trainer.accumulate({batch_of(vectors.ints("ids"), 1, 0, false)}, {});
  expect_gradients(*model.decoder, vectors, "gradient.");
}

TEST_P(TrainedVectors, HundredOptimiserStepsGiveTheSameLosses) {
  Trainer trainer(device.kernels(), device.memory(), *model.decoder, {0.9, 0.95, 1e-8, 0.1, 1.0});
  const std::vector<Batch> batches = {batch_of(vectors.ints("train_ids"), 4, 0, false)};
  const std::vector<double> losses = vectors.floats("train_losses"),
                            norms = vectors.floats("train_norms");
  StepOptions options;
  options.lr = 1e-3;
  for (size_t step = 0; step < losses.size(); ++step) {
    const StepReport report = trainer.step(batches, options);
    ASSERT_NEAR(report.loss, losses[step], 1e-4) << "step " << step;
    ASSERT_NEAR(report.grad_norm, norms[step], 1e-3 * norms[step]) << "step " << step;
  }
}

TEST_P(MultiTokenVectors, HeadAgrees) {
  ASSERT_EQ(model.config().num_nextn_predict_layers, 1);
  const std::vector<int32_t> ids = vectors.ints("ids");
  Pass pass{device.kernels(), device.memory()};
  Batch batch = batch_of(ids, 1, 1, true);
  // The reference also gives the row that joins the last token but one with the last: one more than
  // there are targets.
  MultiTokenTargets rows;
  for (size_t i = 0; i + 1 < ids.size(); ++i) {
    rows.rows.push_back(static_cast<int32_t>(i));
    rows.ids.push_back(ids[i + 1]);
    rows.layout.positions.push_back(static_cast<int32_t>(i));
  }
  rows.layout.starts = {0, static_cast<int32_t>(rows.rows.size())};
  const Tensor hidden = model.decoder->forward(pass, batch.ids, batch.layout);
  const Tensor ahead = model.decoder->multi_token_forward(pass, hidden, rows);
  const std::vector<double> expected = vectors.floats("mtp_logits");
  EXPECT_LE(worst_difference(to_doubles(model.decoder->logits(pass, ahead)), expected),
            1e-4 * largest(expected));
}

TEST_P(MultiTokenVectors, GradientsAgree) {
  Trainer trainer(device.kernels(), device.memory(), *model.decoder, {});
  StepOptions options;
  options.mtp_weight = 1;
  options.objective = [](size_t) -> TokenObjective {  // the head's loss alone
    return [](std::span<const int32_t>, std::span<const double>, std::span<double> derivative) {
      std::fill(derivative.begin(), derivative.end(), 0.0);
      return 0.0;
    };
  };
  const StepReport report =
      trainer.accumulate({batch_of(vectors.ints("ids"), 1, 1, false)}, options);
  EXPECT_GT(report.mtp_loss, 0);
  expect_gradients(*model.decoder, vectors, "mtp_gradient.");
}

const auto name_of_case = [](const auto& param) { return std::string(param.param); };
INSTANTIATE_TEST_SUITE_P(
    Published, ModelVectors,
    ::testing::Values("llama_mha", "llama_gqa", "llama_mqa", "llama_tied", "llama_linear",
                      "llama_llama3", "qwen2", "deepseek_moe_16b", "deepseek_v2_lite",
                      "deepseek_v2_groups", "deepseek_v2_normalised", "deepseek_v3_q_lora",
                      "deepseek_v3_q_full", "deepseek_v3_groups", "deepseek_v3_negative",
                      "deepseek_v3_yarn", "deepseek_v3_mscales", "deepseek_v3_mtp"),
    name_of_case);
INSTANTIATE_TEST_SUITE_P(Published, TrainedVectors,
                         ::testing::Values("llama_mha", "llama_gqa", "llama_mqa", "qwen2",
                                           "deepseek_moe_16b", "deepseek_v2_groups",
                                           "deepseek_v3_q_lora", "deepseek_v3_q_full"),
                         name_of_case);
INSTANTIATE_TEST_SUITE_P(Published, MultiTokenVectors, ::testing::Values("deepseek_v3_mtp"),
                         name_of_case);

}  // namespace
}  // namespace fathom
