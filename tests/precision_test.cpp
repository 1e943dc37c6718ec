// What bf16 changes in a trained model: weights stored so, and products whose operands are rounded
// so, against f32 on the same tokens; and cached steps against one pass.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "backend/device.h"
#include "base/cpu.h"
#include "checkpoint/model_folder.h"
#include "data/batch_source.h"
#include "data/tasks.h"
#include "io/testing.h"
#include "model/presets.h"
#include "ops/testing.h"
#include "test_device.h"
#include "train/trainer.h"

namespace fathom {
namespace {

using testing::to_doubles;

// Every token is predicted, not only answers.
Batch text_batch(int64_t documents, uint64_t seed, int64_t step) {
  MixtureSource source(nano_tokenizer(), pretraining_mixture(true), {documents, seed, {0, true}});
  Batch batch = source.batch(step, {});
  for (size_t i = 0; i < batch.weights.size(); ++i)
    batch.weights[i] = batch.targets[i] == kNoTarget ? 0.0f : 1.0f;
  return batch;
}

std::unique_ptr<Decoder> trained(Device& device, const std::string& preset) {
  ModelConfig config = model_preset(preset).config;
  config.vocab_size = 64;
  config.num_nextn_predict_layers = 0;
  auto decoder = std::make_unique<Decoder>(config);
  decoder->allocate(device.memory());
  decoder->initialize(1);
  Trainer trainer(device.kernels(), device.memory(), *decoder, {0.9, 0.99, 1e-8, 0.1, 1.0});
  StepOptions options;
  options.bias_update_speed = 1e-3;
  constexpr int kSteps = 60;
  for (int step = 0; step < kSteps; ++step) {
    options.lr = 4e-3 * std::min(1.0, (step + 1) / 20.0) * (1 - 0.9 * step / kSteps);
    trainer.step({text_batch(16, 1, step)}, options);
  }
  decoder->require_gradients(false);
  return decoder;
}

struct Difference {
  double cosine = 0;  // of all logits
  double mean_kl = 0;
  double same_top = 0;  // share of rows
};

// Rows of logits, [rows, vocab] each.
Difference compare(const std::vector<double>& p, const std::vector<double>& q, size_t vocab) {
  Difference result;
  double dot = 0, norm_p = 0, norm_q = 0;
  const size_t rows = p.size() / vocab;
  for (size_t r = 0; r < rows; ++r) {
    const double *a = p.data() + r * vocab, *b = q.data() + r * vocab;
    const double *top_a = std::max_element(a, a + vocab), *top_b = std::max_element(b, b + vocab);
    double sum_a = 0, sum_b = 0, cross = 0;
    for (size_t i = 0; i < vocab; ++i) {
      dot += a[i] * b[i];
      norm_p += a[i] * a[i];
      norm_q += b[i] * b[i];
      sum_a += std::exp(a[i] - *top_a);
      sum_b += std::exp(b[i] - *top_b);
    }
    for (size_t i = 0; i < vocab; ++i) {
      const double log_a = a[i] - *top_a - std::log(sum_a);
      cross += std::exp(log_a) * (log_a - (b[i] - *top_b - std::log(sum_b)));
    }
    result.mean_kl += cross / static_cast<double>(rows);
    result.same_top += (top_a - a == top_b - b ? 1.0 : 0.0) / static_cast<double>(rows);
  }
  result.cosine = dot / std::sqrt(norm_p * norm_q);
  return result;
}

class Bf16 : public ::testing::TestWithParam<const char*> {
 protected:
  static constexpr size_t kVocab = 64;

  Bf16() : device(test_device()), decoder(trained(device, GetParam())) {}

  static std::vector<double> logits(Device& on, const Decoder& model, const Batch& batch) {
    Pass pass = on.pass();
    return to_doubles(model.logits(pass, model.forward(pass, batch.ids, batch.layout)));
  }

  void expect_near_f32(const std::vector<double>& got, const Batch& batch) {
    const std::vector<double> expected = logits(device, *decoder, batch);
    ASSERT_GT(expected.size() / kVocab, 2000u);
    const Difference difference = compare(expected, got, kVocab);
    EXPECT_GT(difference.cosine, 0.999);
    EXPECT_LT(difference.mean_kl, 1e-3);
    EXPECT_GT(difference.same_top, 0.98);
  }

  Device device;
  std::unique_ptr<Decoder> decoder;
};

// A prompt, then one token at a time: the absorbed form of MLA, and the cache, against one pass.
double worst_of_cached_steps(Device& device, const Decoder& decoder) {
  const Batch batch = text_batch(1, 3, 0);
  const auto tokens = static_cast<int32_t>(batch.ids.size());
  Pass pass = device.pass();
  const std::vector<double> whole =
      to_doubles(decoder.logits(pass, decoder.forward(pass, batch.ids, batch.layout)));
  std::unique_ptr<KvCache> cache = decoder.make_cache(device.memory(), 64, 4);
  PagedSequence sequence;
  double worst = 0, scale = 0;
  for (int32_t begin = 0; begin < tokens;) {
    const int32_t count = begin == 0 ? tokens / 2 : 1;
    EXPECT_TRUE(cache->extend(pass, sequence, count));
    TokenLayout layout{{0, count}, {}, {&sequence}};
    for (int32_t i = 0; i < count; ++i) layout.positions.push_back(begin + i);
    const std::vector<int32_t> ids(batch.ids.begin() + begin, batch.ids.begin() + begin + count);
    const std::vector<double> got =
        to_doubles(decoder.logits(pass, decoder.forward(pass, ids, layout, cache.get())));
    for (size_t i = 0; i < got.size(); ++i) {
      const double expected = whole[static_cast<size_t>(begin) * 64 + i];
      worst = std::max(worst, std::abs(got[i] - expected));
      scale = std::max(scale, std::abs(expected));
    }
    sequence.length += count;
    begin += count;
  }
  return worst / scale;
}

TEST_P(Bf16, WeightsGiveTheDistributionsOfF32) {
  const TemporaryFolder folder;
  save_model(*decoder, nullptr, folder.path(), {.dtype = DType::kBF16}, {"a copy", ""});
  const LoadedModel rounded = load_model(folder.path(), device.memory(), WeightsFor::kInference);
  const Batch batch = text_batch(100, 2, 0);
  expect_near_f32(logits(device, *rounded.decoder, batch), batch);
  EXPECT_LE(worst_of_cached_steps(device, *rounded.decoder), 1e-5);
}

TEST_P(Bf16, ProductsGiveTheDistributionsOfF32) {
  if (!request_amx()) GTEST_SKIP() << "this processor has no AMX tiles";
  const Batch batch = text_batch(100, 2, 0);
  Device tiles = Device::open({.precision = Precision::kBF16});
  const std::vector<double> got = logits(tiles, *decoder, batch);
  EXPECT_LE(worst_of_cached_steps(tiles, *decoder), 2e-2);
  EXPECT_NE(got, logits(device, *decoder, batch));
  expect_near_f32(got, batch);
}

INSTANTIATE_TEST_SUITE_P(Trained, Bf16, ::testing::Values("llm-nano", "v3-nano"),
                         [](const auto& param) {
                           return std::string(param.param) == "llm-nano" ? "dense" : "mla";
                         });

}  // namespace
}  // namespace fathom
