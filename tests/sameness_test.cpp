// What must not change a result: the tape, the thread count, the batch, a stop, the way a sequence
// is cut.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "align/grpo.h"
#include "base/cpu.h"
#include "base/stop.h"
#include "base/team.h"
#include "data/batch_source.h"
#include "data/tasks.h"
#include "generate/engine.h"
#include "io/files.h"
#include "model/presets.h"
#include "ops/testing.h"
#include "test_device.h"
#include "train/run.h"

namespace fathom {
namespace {

using testing::to_doubles;

ModelConfig nano(const std::string& preset, int64_t kv_heads = 0) {
  ModelConfig config = model_preset(preset).config;
  config.vocab_size = 64;
  config.initializer_range = 0.06;
  config.max_position_embeddings = 256;
  const Tokenizer tokenizer = nano_tokenizer();
  config.bos_token_id = *tokenizer.control().bos;
  config.eos_token_ids = {*tokenizer.control().eos};
  if (kv_heads > 0) config.num_key_value_heads = kv_heads;
  return config;
}

std::unique_ptr<Decoder> make_decoder(Device& device, const ModelConfig& config,
                                      uint64_t seed = 1) {
  auto decoder = std::make_unique<Decoder>(config);
  decoder->allocate(device.memory());
  decoder->initialize(seed);
  return decoder;
}

Batch task_batch(int64_t documents, uint64_t seed, int64_t step = 0, int64_t depth = 1) {
  MixtureSource source(nano_tokenizer(), pretraining_mixture(true),
                       {documents, seed, {depth, false}});
  return source.batch(step, {});
}

std::vector<float> bits(const Tensor& tensor) {
  return {tensor.data<float>(), tensor.data<float>() + tensor.shape().elements()};
}

std::vector<std::vector<float>> all_weights(Decoder& decoder) {
  std::vector<std::vector<float>> weights;
  for (Parameter* p : decoder.parameters()) weights.push_back(bits(p->value));
  return weights;
}

struct Kind {
  const char* name;
  const char* preset;
  int64_t kv_heads;
  const char* model_type = nullptr;  // null: the preset's
};

// The preset as another family of the same shape: its gate, its biases, its positions.
ModelConfig as_family(ModelConfig c, const char* model_type) {
  if (model_type == nullptr) return c;
  c.model_type = model_type;
  if (!model_family(model_type).experts) return c;
  c.n_routed_experts = 8;
  c.n_shared_experts = 2;
  c.num_experts_per_tok = 3;
  c.moe_intermediate_size = 48;
  c.first_k_dense_replace = 1;
  c.scoring_func = "softmax";
  c.topk_method = "greedy";
  c.norm_topk_prob = false;
  c.num_nextn_predict_layers = 0;
  if (!c.mla()) return c;
  c.topk_method = "group_limited_greedy";
  c.n_group = 4;
  c.topk_group = 2;
  c.rope_scaling.kind = RopeKind::kYarn;
  c.rope_scaling.factor = 8;
  c.rope_scaling.original_max_position_embeddings = 32;
  c.rope_scaling.mscale_all_dim = 0.5;
  return c;
}

ModelConfig config_of(const Kind& kind) {
  return as_family(nano(kind.preset, kind.kv_heads), kind.model_type);
}
class Sameness : public ::testing::TestWithParam<Kind> {
 protected:
  Sameness() : device(test_device()), decoder(make_decoder(device, config_of(GetParam()))) {}

  std::vector<float> hidden(Pass& pass, const Batch& batch) {
    return bits(decoder->forward(pass, batch.ids, batch.layout));
  }

  Device device;
  std::unique_ptr<Decoder> decoder;
};

TEST_P(Sameness, ForwardIsBitIdenticalWithAndWithoutTape) {
  const Batch batch = task_batch(8, 3);
  Pass plain = device.pass();
  const std::vector<float> without = hidden(plain, batch);
  Tape tape;
  Pass taped{device.kernels(), device.memory(), nullptr, &tape};
  decoder->require_gradients(true);
  EXPECT_EQ(hidden(taped, batch), without);
  EXPECT_FALSE(tape.empty());
  tape.clear();
}

TEST_P(Sameness, ForwardDoesNotDependOnThreads) {
  const Batch batch = task_batch(16, 3);
  Pass pass = device.pass();
  const std::vector<float> usual = hidden(pass, batch);
  const int threads = team_size();
  set_team_size(1);
  const std::vector<float> one = hidden(pass, batch);
  set_team_size(threads);
  EXPECT_EQ(one, usual);
}

TEST_P(Sameness, ASequenceAloneEqualsTheSameAmongOthers) {
  const Batch many = task_batch(32, 5);
  Pass pass = device.pass();
  const Tensor all = decoder->forward(pass, many.ids, many.layout);
  for (const size_t s : {size_t{0}, size_t{7}, size_t{31}}) {
    const int32_t begin = many.layout.starts[s], end = many.layout.starts[s + 1];
    TokenLayout layout{{0, end - begin},
                       {many.layout.positions.begin() + begin, many.layout.positions.begin() + end},
                       {}};
    const std::vector<int32_t> ids(many.ids.begin() + begin, many.ids.begin() + end);
    const std::vector<float> alone = bits(decoder->forward(pass, ids, layout));
    const float* expected = all.data<float>() + begin * all.cols();
    EXPECT_EQ(alone, std::vector<float>(expected,
                                        expected + static_cast<int64_t>(ids.size()) * all.cols()))
        << "sequence " << s;
  }
}

// Prefill of `fresh` tokens, then one by one, gives the hidden states of one pass over all.
TEST_P(Sameness, PrefillThenDecodeEqualsOnePass) {
  const Batch batch = task_batch(1, 9, 0, 0);
  const auto tokens = static_cast<int32_t>(batch.ids.size());
  Pass pass = device.pass();
  const Tensor whole = decoder->forward(pass, batch.ids, batch.layout);
  for (const int32_t fresh : {1, 5, tokens - 1}) {
    std::unique_ptr<KvCache> cache = decoder->make_cache(device.memory(), 16, 4);
    PagedSequence sequence;
    double worst = 0, scale = 0;
    for (int32_t begin = 0; begin < tokens;) {
      const int32_t count = begin == 0 ? fresh : 1;
      ASSERT_TRUE(cache->extend(pass, sequence, count));
      TokenLayout layout{{0, count}, {}, {&sequence}};
      for (int32_t i = 0; i < count; ++i) layout.positions.push_back(begin + i);
      const std::vector<int32_t> ids(batch.ids.begin() + begin, batch.ids.begin() + begin + count);
      const std::vector<double> got = to_doubles(decoder->forward(pass, ids, layout, cache.get()));
      const std::vector<double> expected = to_doubles(whole.rows_at(begin, count));
      for (size_t i = 0; i < got.size(); ++i) {
        worst = std::max(worst, std::abs(got[i] - expected[i]));
        scale = std::max(scale, std::abs(expected[i]));
      }
      sequence.length += count;
      begin += count;
    }
    EXPECT_LE(worst, 1e-5 * scale) << "prefill of " << fresh;
  }
}

TEST_P(Sameness, ARequestAloneEqualsTheSameAmong31Others) {
  const Tokenizer tokenizer = nano_tokenizer();
  std::vector<Request> requests;
  for (uint64_t i = 0; i < 32; ++i) {
    Request request;
    const Problem problem =
        make_problem({"modsum", static_cast<int32_t>(3 + i % 6)}, {7, Purpose::kTest}, i);
    request.prompt = render_chat(tokenizer, problem_prompt(problem)).ids;
    request.max_tokens = static_cast<int64_t>(4 + i % 17);
    request.sampling.seed = 100 + i;
    requests.push_back(request);
  }
  EngineConfig config;
  config.max_sequences = 12;  // fewer than requests: samples come and go
  Engine together(device.kernels(), device.memory(), *decoder, config);
  const auto all = generate(together, requests);
  for (const size_t i : {size_t{0}, size_t{13}, size_t{31}}) {
    Engine alone(device.kernels(), device.memory(), *decoder, config);
    const auto single = generate(alone, {requests[i]});
    EXPECT_EQ(single[0][0].ids, all[i][0].ids) << "request " << i;
    EXPECT_EQ(single[0][0].logprobs, all[i][0].logprobs) << "request " << i;
  }
}

TEST_P(Sameness, TwoTrainingsOfOneSeedGiveTheSameBits) {
  const auto train = [&] {
    std::unique_ptr<Decoder> model = make_decoder(device, decoder->config());
    Trainer trainer(device.kernels(), device.memory(), *model, {});
    StepOptions options;
    options.lr = 1e-3;
    options.mtp_weight = model->config().num_nextn_predict_layers > 0 ? 0.3 : 0;
    options.bias_update_speed = 0.001;
    for (int64_t step = 0; step < 4; ++step) trainer.step({task_batch(16, 3, step)}, options);
    return all_weights(*model);
  };
  EXPECT_EQ(train(), train());
}

// Gradients of one batch cut into parts under the one normaliser.
TEST_P(Sameness, MicrobatchesGiveTheSameGradient) {
  const auto gradients = [&](int64_t parts) {
    MixtureSource source(nano_tokenizer(), pretraining_mixture(true), {16, 3, {1, false}});
    std::vector<Batch> batches;
    for (int64_t i = 0; i < parts; ++i) batches.push_back(source.batch(0, {i, parts}));
    Trainer trainer(device.kernels(), device.memory(), *decoder, {});
    trainer.optimizer().clear_gradients();
    StepOptions options;
    options.mtp_weight = decoder->config().num_nextn_predict_layers > 0 ? 0.3 : 0;
    trainer.accumulate(batches, options);
    std::vector<std::vector<double>> result;
    for (Parameter* p : decoder->parameters()) {
      if (p->trained && p->grad->live.empty()) result.push_back(to_doubles(p->grad->value));
    }
    return result;
  };
  const auto whole = gradients(1);
  for (const int64_t parts : {2, 4}) {
    const auto cut = gradients(parts);
    for (size_t i = 0; i < whole.size(); ++i) {
      double difference = 0, norm = 0;
      for (size_t j = 0; j < whole[i].size(); ++j) {
        difference += (whole[i][j] - cut[i][j]) * (whole[i][j] - cut[i][j]);
        norm += whole[i][j] * whole[i][j];
      }
      EXPECT_LE(std::sqrt(difference), 1e-6 * std::sqrt(norm))
          << "tensor " << i << " in " << parts << " parts";
    }
  }
}

TEST_P(Sameness, SamplerAndTrainerAgree) {
  const Tokenizer tokenizer = nano_tokenizer();
  GrpoConfig config;
  config.tasks = {"modsum=8", "add=8"};
  config.reward = "random";
  Grpo grpo(device.kernels(), device.memory(), *decoder, tokenizer, config);
  const GrpoReport report = grpo.step(0);  // throws on a wide gap
  EXPECT_GT(report.trained_tokens, 0);
  const bool mla = decoder->config().mla();
  EXPECT_LE(report.gap_mean, mla ? 1e-4 : 1e-5);
  EXPECT_LE(report.gap_max, mla ? 1e-2 : 1e-3);
}

// In bf16, what only products read is kept rounded: half the memory, and not one bit of difference.
TEST_P(Sameness, OperandsKeptRoundedGiveTheSameWeights) {
  if (!request_amx()) GTEST_SKIP() << "this machine has no AMX tiles";
  Device tiles = Device::open({.precision = Precision::kBF16});
  const auto train = [&](DType operand_dtype) {
    KernelTable kernels = tiles.kernels();
    kernels.operand_dtype = operand_dtype;
    std::unique_ptr<Decoder> model = make_decoder(tiles, decoder->config());
    Trainer trainer(kernels, tiles.memory(), *model, {});
    StepOptions options;
    options.lr = 1e-3;
    options.mtp_weight = model->config().num_nextn_predict_layers > 0 ? 0.3 : 0;
    for (int64_t step = 0; step < 3; ++step) trainer.step({task_batch(16, 3, step)}, options);
    return all_weights(*model);
  };
  EXPECT_EQ(tiles.kernels().operand_dtype, DType::kBF16);
  EXPECT_EQ(train(DType::kBF16), train(DType::kF32));
}

INSTANTIATE_TEST_SUITE_P(Kinds, Sameness,
                         ::testing::Values(Kind{"mha", "llm-nano", 4}, Kind{"gqa", "llm-nano", 2},
                                           Kind{"mqa", "llm-nano", 1},
                                           Kind{"mla_experts", "v3-nano", 0},
                                           Kind{"mla_dense", "tiny-twin", 0},
                                           Kind{"qwen2", "llm-nano", 2, "qwen2"},
                                           Kind{"moe_16b", "llm-nano", 4, "deepseek"},
                                           Kind{"v2_yarn", "v3-nano", 0, "deepseek_v2"}),
                         [](const auto& kind) { return std::string(kind.param.name); });

TEST(Recompute, ChangesNeitherLossNorGradient) {
  Device device = test_device();
  std::vector<std::vector<std::vector<double>>> gradients;
  for (const bool on : {false, true}) {
    std::unique_ptr<Decoder> decoder = make_decoder(device, nano("v3-nano"));
    decoder->set_recompute(on);
    Trainer trainer(device.kernels(), device.memory(), *decoder, {});
    StepOptions options;
    options.mtp_weight = 0.3;
    trainer.accumulate({task_batch(8, 3)}, options);
    gradients.emplace_back();
    for (Parameter* p : decoder->parameters()) {
      if (p->trained && p->grad->live.empty())
        gradients.back().push_back(to_doubles(p->grad->value));
    }
  }
  EXPECT_EQ(gradients[0], gradients[1]);
}

TEST(Engine, ComputesAGroupsPromptOnce) {
  Device device = test_device();
  std::unique_ptr<Decoder> decoder = make_decoder(device, nano("v3-nano"));
  Engine engine(device.kernels(), device.memory(), *decoder, {});
  std::vector<Request> requests(5);
  int64_t unique = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    requests[i].prompt.assign(10 + i, static_cast<int32_t>(7 + i));
    requests[i].samples = 8;
    requests[i].max_tokens = 6;
    unique += static_cast<int64_t>(requests[i].prompt.size());
  }
  generate(engine, requests);
  EXPECT_EQ(engine.stats().prompt_tokens, unique);
  EXPECT_EQ(engine.stats().generated_tokens, 5 * 8 * 6);
}

TEST(Engine, KeepsItsSlotsBusyAtMixedLengths) {
  Device device = test_device();
  std::unique_ptr<Decoder> decoder = make_decoder(device, nano("v3-nano"));
  EngineConfig config;
  config.max_sequences = 16;
  Engine engine(device.kernels(), device.memory(), *decoder, config);
  std::vector<Request> requests(200);
  for (size_t i = 0; i < requests.size(); ++i) {
    requests[i].prompt.assign(3 + i % 11, 8);
    requests[i].max_tokens = static_cast<int64_t>(1 + (i * 7) % 40);
  }
  generate(engine, requests);
  EXPECT_GE(engine.stats().busy_slots, 0.9 * static_cast<double>(engine.stats().offered_slots));
  EXPECT_GT(engine.stats().offered_slots, 0);
}

TEST(Engine, SamplesOfAGroupEqualSeparateRequests) {
  Device device = test_device();
  std::unique_ptr<Decoder> decoder = make_decoder(device, nano("v3-nano"));
  Request group;
  group.prompt = {1, 3, 9, 17, 10, 4};
  group.samples = 4;
  group.max_tokens = 12;
  group.sampling.seed = 5;
  Engine engine(device.kernels(), device.memory(), *decoder, {});
  const auto together = generate(engine, {group})[0];
  for (uint64_t i = 0; i < 4; ++i) {
    Request one = group;
    one.samples = 1;
    one.sampling.seed = 5 + i;
    EXPECT_EQ(generate(engine, {one})[0][0].ids, together[i].ids) << "sample " << i;
  }
}

TEST(Engine, TakesItsCopiesOfWeightsWithIt) {
  Device device = test_device();
  std::unique_ptr<Decoder> decoder = make_decoder(device, nano("v3-nano"));
  const auto copies = [&] {
    int64_t count = 0;
    for (const Parameter* p : decoder->parameters()) count += p->packed->value ? 1 : 0;
    return count;
  };
  const size_t before = device.memory().in_use();
  Request request;
  request.prompt = {1, 3, 9};
  request.max_tokens = 4;
  std::vector<std::vector<int32_t>> answers;
  for (int round = 0; round < 2; ++round) {
    Engine engine(device.kernels(), device.memory(), *decoder, {});
    answers.push_back(generate(engine, {request})[0][0].ids);
    EXPECT_GT(copies(), 0);
    { const Engine other(device.kernels(), device.memory(), *decoder, {}); }
    EXPECT_EQ(copies(), 0);
    answers.push_back(generate(engine, {request})[0][0].ids);  // made again
    EXPECT_GT(copies(), 0);
  }
  EXPECT_EQ(copies(), 0);
  EXPECT_EQ(device.memory().in_use(), before);
  for (const std::vector<int32_t>& answer : answers) EXPECT_EQ(answer, answers.front());
}

// Takes all memory that the device may give.
std::vector<std::shared_ptr<Storage>> take_all_memory(Device& device) {
  std::vector<std::shared_ptr<Storage>> taken;
  for (size_t bytes = size_t{1} << 30; bytes >= 64;) {
    try {
      taken.push_back(device.memory().take(bytes));
    } catch (const Error&) {
      bytes /= 2;
    }
  }
  return taken;
}

TEST(Engine, IsCleanAfterGenerateHasThrown) {
  Device device = test_device(64 << 20);
  std::unique_ptr<Decoder> decoder = make_decoder(device, nano("v3-nano"));
  Request request;
  request.prompt.assign(20, 8);
  request.max_tokens = 44;
  request.samples = 2;
  EngineConfig config;  // slots and pages for these two samples, and no more
  config.max_sequences = 2;
  config.cache_tokens = 2 * 64;
  Engine engine(device.kernels(), device.memory(), *decoder, config);
  const auto fresh = generate(engine, {request})[0];

  Request foreign = request;
  foreign.prompt.push_back(64);  // outside the vocabulary: refused after the first was queued
  EXPECT_THROW(generate(engine, {request, foreign}), Error);
  EXPECT_EQ(engine.step(), 0);

  // Memory that runs out in the prompt's pass, and in the middle of the answers, with a request
  // of somebody else in the engine: that one must not notice.
  for (const int64_t steps : {0, 3}) {
    std::vector<std::vector<int32_t>> ids(2);
    Request earlier = request;
    earlier.sink = [&](const TokenEvent& event) {
      ids[static_cast<size_t>(event.sample)].push_back(event.token);
    };
    engine.submit(earlier);
    for (int64_t i = 0; i < steps; ++i) engine.step();
    {
      const auto memory = take_all_memory(device);
      EXPECT_THROW(generate(engine, {request}), Error);
    }
    engine.run();
    const auto again = generate(engine, {request})[0];
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(ids[i], fresh[i].ids) << "sample " << i << ", after " << steps << " steps";
      EXPECT_EQ(again[i].ids, fresh[i].ids) << "sample " << i << ", after " << steps << " steps";
    }
  }
}

TEST(Grpo, ZeroAdvantagesLeaveTheWeightsAlone) {
  Device device = test_device();
  std::unique_ptr<Decoder> decoder = make_decoder(device, nano("v3-nano"));
  const Tokenizer tokenizer = nano_tokenizer();
  GrpoConfig config;
  config.tasks = {"modsum=8"};
  config.reward = "zero";
  const auto before = all_weights(*decoder);
  Grpo grpo(device.kernels(), device.memory(), *decoder, tokenizer, config);
  grpo.step(0);
  EXPECT_EQ(all_weights(*decoder), before);
}

TEST(Run, ResumedEqualsUninterrupted) {
  Device device = test_device();
  const std::string root = concat(::testing::TempDir(), "/fathom_resume_test-", ::getpid());
  remove_all(root);
  make_directories(root);
  std::string text;
  for (int i = 0; i < 400; ++i) text += concat("line ", i, " of a small text about nothing; ");
  write_file_atomically(root + "/data.txt", text);
  const auto run = [&](const std::string& out, int64_t stop_after) {
    RunConfig config = default_run_config(RunKind::kTrain, "v3-nano");
    config.data = {root + "/data.txt"};
    config.out = root + "/" + out;
    config.steps = 6;
    config.batch_rows = 4;
    config.row_tokens = 32;
    config.log_every = 1;
    config.eval_every = config.save_every = 0;
    const RunResult result = run_training(
        RunKind::kTrain, config, device.kernels(), device.memory(), [&](const Json& event) {
          if (event.string_at("event") == "step" && event.int_at("step") == stop_after)
            request_stop(2);
        });
    clear_stop();
    return result;
  };
  EXPECT_FALSE(run("whole", -1).stopped);
  EXPECT_TRUE(run("cut", 3).stopped);
  EXPECT_FALSE(run("cut", -1).stopped);
  for (const char* name : {"model.safetensors", "optimizer.safetensors"}) {
    const std::string file = concat("/checkpoints/step-00000006/", name);
    EXPECT_TRUE(read_file(root + "/whole" + file) == read_file(root + "/cut" + file)) << name;
  }
  remove_all(root);
}

}  // namespace
}  // namespace fathom
