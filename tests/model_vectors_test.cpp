// Fathom against the published implementations: logits, gradients, greedy tokens and 100 AdamW
// steps of tiny random models; from weights read as f32 and from weights kept as the file has them.
//
// The vectors and how they were made: tests/vectors/MANIFEST.json, tests/reference/make_vectors.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/float_bits.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/weights.h"
#include "data/packing.h"
#include "generate/engine.h"
#include "io/safetensors.h"
#include "io/testing.h"
#include "model/config_json.h"
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

// Of every tensor whose gradient is stored; with `every`, of every trained tensor of the model.
void expect_gradients(Decoder& decoder, const Vectors& vectors, const std::string& prefix,
                      bool every) {
  int64_t compared = 0;
  for (Parameter* p : decoder.parameters()) {
    if (!p->trained) continue;
    for (const ParameterPart& part : p->parts) {
      if (vectors.file.find(prefix + part.name) == nullptr) {
        EXPECT_FALSE(every) << part.name << " has no gradient to compare with";
        continue;
      }
      ++compared;
      const std::vector<double> expected = vectors.floats(prefix + part.name);
      if (largest(expected) == 0) {
        EXPECT_EQ(largest(part_gradient(*p, part)), 0) << part.name;
      } else {
        EXPECT_LE(relative_norm(part_gradient(*p, part), expected), 1e-4) << part.name;
      }
    }
  }
  const auto& entries = vectors.file.entries();
  EXPECT_EQ(compared, std::count_if(entries.begin(), entries.end(), [&](const auto& entry) {
              return entry.name.starts_with(prefix);
            }));
  EXPECT_GT(compared, 5);
}

std::vector<double> logits_of(Device& device, const Decoder& decoder,
                              const std::vector<int32_t>& ids) {
  Pass pass{device.kernels(), device.memory()};
  const Batch batch = batch_of(ids, 1, 0, true);
  return to_doubles(decoder.logits(pass, decoder.forward(pass, batch.ids, batch.layout)));
}

std::vector<int32_t> greedy_tokens(Device& device, Decoder& decoder,
                                   const std::vector<int32_t>& prompt) {
  Engine engine(device.kernels(), device.memory(), decoder, {});
  Request request;
  request.prompt = prompt;
  request.max_tokens = 64;
  request.sampling.temperature = 0;
  return generate(engine, {request})[0][0].ids;
}

// For every token but the first, from the state of the one before it.
std::vector<double> multi_token_logits(Device& device, const Decoder& decoder,
                                       const std::vector<int32_t>& ids) {
  Pass pass{device.kernels(), device.memory()};
  const Batch batch = batch_of(ids, 1, 1, true);
  // The reference also gives the row that joins the last token but one with the last: one more than
  // there are targets.
  MultiTokenTargets rows;
  for (size_t i = 0; i + 1 < ids.size(); ++i) {
    rows.rows.push_back(static_cast<int32_t>(i));
    rows.ids.push_back(ids[i + 1]);
    rows.layout.positions.push_back(static_cast<int32_t>(i));
  }
  rows.layout.starts = {0, static_cast<int32_t>(rows.rows.size())};
  const MainStates states = decoder.forward_states(pass, batch.ids, batch.layout);
  return to_doubles(
      decoder.logits(pass, decoder.multi_token_forward(pass, states.multi_token, rows)));
}

// A step whose loss is that of the multi-token head.
StepOptions head_alone() {
  StepOptions options;
  options.mtp_weight = 1;
  options.objective = [](size_t) -> TokenObjective {
    return [](std::span<const int32_t>, std::span<const double>, std::span<double> derivative) {
      std::fill(derivative.begin(), derivative.end(), 0.0);
      return 0.0;
    };
  };
  return options;
}

void expect_logits(const std::vector<double>& got, const std::vector<double>& expected) {
  EXPECT_LE(worst_difference(got, expected), 1e-4 * largest(expected));
}

class ModelVectors : public ::testing::TestWithParam<const char*> {
 protected:
  ModelVectors()
      : vectors(GetParam()),
        device(test_device()),
        model(load_model(vectors.folder, device.memory(), WeightsFor::kTraining)) {}

  Vectors vectors;
  Device device;
  LoadedModel model;
};

class TrainedVectors : public ModelVectors {};  // the cases with gradients and training losses
// The cases with a multi-token head.
class MultiTokenVectors : public ModelVectors {
 protected:
  ModelConfig with_states_before_norm() const {
    ModelConfig config = model.config();
    config.mtp_hidden_state = "before_norm";
    return config;
  }
};
class MultiTokenGradients : public ModelVectors {};
class Fp8Vectors : public ModelVectors {};  // the cases whose matrices are FP8 codes with scales

// The cases whose matrices lie in their files in fewer bits than f32 have, left there, as those of
// large models are: rounded scales, edges of blocks and heads that cross them meet the kernels.
class StoredVectors : public ::testing::TestWithParam<const char*> {
 protected:
  StoredVectors() : vectors(GetParam()), device(test_device()) {
    const auto weights = std::make_shared<const SafetensorsFolder>(vectors.folder);
    decoder = std::make_unique<Decoder>(read_config(vectors.folder + "/config.json"));
    keep_stored(*decoder, weights);
    decoder->allocate(device.memory());
    load_weights(*decoder, *weights);
  }

  Vectors vectors;
  Device device;
  std::unique_ptr<Decoder> decoder;
};

TEST_P(ModelVectors, LogitsAgree) {
  expect_logits(logits_of(device, *model.decoder, vectors.ints("ids")), vectors.floats("logits"));
}

TEST_P(ModelVectors, LogProbabilitiesAgree) {
  Trainer trainer(device.kernels(), device.memory(), *model.decoder, {});
  const Batch batch = batch_of(vectors.ints("ids"), 1, 0, false);
  EXPECT_LE(worst_difference(trainer.logprobs(batch), vectors.floats("log_probs")), 1e-4);
}

TEST_P(ModelVectors, GreedyTokensAreEqual) {
  EXPECT_EQ(greedy_tokens(device, *model.decoder, vectors.ints("ids")), vectors.ints("greedy"));
}

TEST_P(TrainedVectors, GradientsAgree) {
  Trainer trainer(device.kernels(), device.memory(), *model.decoder, {});
  trainer.accumulate({batch_of(vectors.ints("ids"), 1, 0, false)}, {});
  expect_gradients(*model.decoder, vectors, "gradient.", true);
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
  ASSERT_EQ(model.config().mtp_hidden_state, "after_norm");
  expect_logits(multi_token_logits(device, *model.decoder, vectors.ints("ids")),
                vectors.floats("mtp_logits"));
}

TEST_P(MultiTokenVectors, HeadAgreesOnStatesBeforeTheFinalNorm) {
  Decoder decoder(with_states_before_norm());
  decoder.allocate(device.memory());
  load_weights(decoder, SafetensorsFolder(vectors.folder));
  const std::vector<int32_t> ids = vectors.ints("ids");
  const std::vector<double> before = vectors.floats("mtp_logits_before_norm"),
                            after = vectors.floats("mtp_logits");
  expect_logits(multi_token_logits(device, decoder, ids), before);
  EXPECT_GT(worst_difference(before, after), 0.1 * largest(after));  // they tell one from the other
  expect_logits(logits_of(device, decoder, ids), vectors.floats("logits"));
}

// Of ids[i + 2] from the logits of row i.
double mean_loss_ahead(const std::vector<double>& logits, const std::vector<int32_t>& ids) {
  const size_t rows = ids.size() - 2, vocab = logits.size() / (ids.size() - 1);
  double sum = 0;
  for (size_t r = 0; r < rows; ++r) {
    const double* row = logits.data() + r * vocab;
    double total = 0;
    for (size_t i = 0; i < vocab; ++i) total += std::exp(row[i]);
    sum += std::log(total) - row[ids[r + 2]];
  }
  return sum / static_cast<double>(rows);
}

// Training and evaluation read the same states; the final norm has no part in a head's loss that
// passes it by.
TEST_P(MultiTokenVectors, TrainsOnStatesBeforeTheFinalNorm) {
  Decoder decoder(with_states_before_norm());
  decoder.allocate(device.memory());
  load_weights(decoder, SafetensorsFolder(vectors.folder));
  const std::vector<int32_t> ids = vectors.ints("ids");
  const double loss = mean_loss_ahead(vectors.floats("mtp_logits_before_norm"), ids);
  const Batch batch = batch_of(ids, 1, 1, false);
  Trainer trainer(device.kernels(), device.memory(), decoder, {});
  EXPECT_NEAR(trainer.evaluate({batch}).mtp_loss, loss, 1e-4);
  EXPECT_NEAR(trainer.accumulate({batch}, head_alone()).mtp_loss, loss, 1e-4);
  int compared = 0;
  for (const Parameter* p : decoder.parameters()) {
    const bool head = p->name == "model.layers.2.hnorm.weight";
    if (!head && p->name != "model.norm.weight") continue;
    EXPECT_EQ(largest(part_gradient(*p, p->parts.front())) > 0, head) << p->name;
    ++compared;
  }
  EXPECT_EQ(compared, 2);
}

TEST_P(Fp8Vectors, SavedAsBf16HaveTheBitsOfTheReference) {
  const TemporaryFolder folder;
  save_model(*model.decoder, nullptr, folder.path(), {.dtype = DType::kBF16}, {"a copy", ""});
  const SafetensorsFolder saved(folder.path());
  int compared = 0;
  for (const SafetensorEntry& entry : vectors.file.entries()) {
    if (!entry.name.starts_with("bf16.")) continue;
    const std::string name = entry.name.substr(5);
    ASSERT_EQ(saved.at(name).entry->dtype, "BF16");
    const auto* bits = reinterpret_cast<const uint16_t*>(saved.bytes(name).data());
    const std::vector<double> expected = vectors.floats(entry.name);
    ASSERT_EQ(saved.bytes(name).size(), 2 * expected.size());
    for (size_t i = 0; i < expected.size(); ++i)
      ASSERT_EQ(bf16_to_f32(bits[i]), static_cast<float>(expected[i])) << name << ' ' << i;
    ++compared;
  }
  EXPECT_EQ(compared, 2);
  for (const auto& [name, location] : saved.tensors())
    EXPECT_FALSE(name.ends_with("_scale_inv")) << name;
  const Json config = parse_json(read_file(folder.file("config.json")), "config.json");
  EXPECT_FALSE(config.contains("quantization_config"));
  EXPECT_EQ(config.string_at("torch_dtype"), "bfloat16");
}

TEST_P(StoredVectors, LogitsAndGreedyTokensAgree) {
  int64_t stored = 0;
  for (const Parameter* p : decoder->parameters()) stored += p->stored ? 1 : 0;
  EXPECT_GT(stored, 8);
  const std::vector<int32_t> ids = vectors.ints("ids");
  expect_logits(logits_of(device, *decoder, ids), vectors.floats("logits"));
  EXPECT_EQ(greedy_tokens(device, *decoder, ids), vectors.ints("greedy"));
  if (decoder->config().num_nextn_predict_layers > 0)
    expect_logits(multi_token_logits(device, *decoder, ids), vectors.floats("mtp_logits"));
}

TEST_P(MultiTokenGradients, Agree) {
  Trainer trainer(device.kernels(), device.memory(), *model.decoder, {});
  const StepReport report =
      trainer.accumulate({batch_of(vectors.ints("ids"), 1, 1, false)}, head_alone());
  EXPECT_GT(report.mtp_loss, 0);
  expect_gradients(*model.decoder, vectors, "mtp_gradient.", false);
}

const auto name_of_case = [](const auto& param) { return std::string(param.param); };
INSTANTIATE_TEST_SUITE_P(
    Published, ModelVectors,
    ::testing::Values("llama_mha", "llama_gqa", "llama_mqa", "llama_tied", "llama_linear",
                      "llama_llama3", "qwen2", "deepseek_moe_16b", "deepseek_v2_lite",
                      "deepseek_v2_groups", "deepseek_v2_normalised", "deepseek_v3_q_lora",
                      "deepseek_v3_q_full", "deepseek_v3_groups", "deepseek_v3_negative",
                      "deepseek_v3_yarn", "deepseek_v3_mscales", "deepseek_v3_mtp",
                      "deepseek_v3_fp8", "deepseek_v3_fp8_ue8m0"),
    name_of_case);
INSTANTIATE_TEST_SUITE_P(Published, TrainedVectors,
                         ::testing::Values("llama_mha", "llama_gqa", "llama_mqa", "qwen2",
                                           "deepseek_moe_16b", "deepseek_v2_groups",
                                           "deepseek_v3_q_lora", "deepseek_v3_q_full"),
                         name_of_case);
INSTANTIATE_TEST_SUITE_P(Published, MultiTokenVectors,
                         ::testing::Values("deepseek_v3_mtp", "deepseek_v3_fp8"), name_of_case);
INSTANTIATE_TEST_SUITE_P(Published, MultiTokenGradients, ::testing::Values("deepseek_v3_mtp"),
                         name_of_case);
INSTANTIATE_TEST_SUITE_P(Published, Fp8Vectors,
                         ::testing::Values("deepseek_v3_fp8", "deepseek_v3_fp8_ue8m0"),
                         name_of_case);
INSTANTIATE_TEST_SUITE_P(Published, StoredVectors,
                         ::testing::Values("llama_tied", "llama_llama3", "deepseek_v2_lite",
                                           "deepseek_v3_groups", "deepseek_v3_yarn",
                                           "deepseek_v3_mtp", "deepseek_v3_fp8",
                                           "deepseek_v3_fp8_ue8m0"),
                         name_of_case);

}  // namespace
}  // namespace fathom
