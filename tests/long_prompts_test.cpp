// Prompts too long for one pass are computed in pieces, one in a step: the same answers, and other
// requests go on meanwhile.
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "generate/engine.h"
#include "model/presets.h"
#include "test_device.h"

namespace fathom {
namespace {

struct LongPrompts : ::testing::TestWithParam<const char*> {
  LongPrompts() : device(test_device()), decoder(config()) {
    decoder.allocate(device.memory());
    decoder.initialize(1);
  }
  static ModelConfig config() {
    // A latent so wide that pieces of a prompt expand the keys of those before them.
    const bool wide = std::string(GetParam()) == "wide latent";
    ModelConfig c = model_preset(wide ? "v3-nano" : GetParam()).config;
    if (wide) c.kv_lora_rank = 96;
    c.vocab_size = 64;
    c.initializer_range = 0.06;
    c.max_position_embeddings = 256;
    return c;
  }
  static Request request(int64_t tokens, uint64_t seed) {
    Request asked;
    for (int64_t i = 0; i < tokens; ++i)
      asked.prompt.push_back(
          static_cast<int32_t>(RandomKey{seed}.below(static_cast<uint64_t>(i), 64)));
    asked.max_tokens = 12;
    asked.samples = 2;
    asked.sampling.temperature = 0;
    return asked;
  }
  Engine engine(int64_t pass_tokens, int64_t cache_tokens = 0) {
    EngineConfig c;
    c.max_sequences = 8;
    c.max_prefill_tokens = pass_tokens;
    c.cache_tokens = cache_tokens;
    return Engine(device.kernels(), device.memory(), decoder, c);
  }

  Device device;
  Decoder decoder;
};

TEST_P(LongPrompts, GiveTheAnswersOfOnePass) {
  const std::vector<Request> requests = {request(90, 1), request(7, 2), request(33, 3),
                                         request(32, 4), request(1, 5)};
  Engine whole = engine(4096);
  const auto expected = generate(whole, requests);
  for (const int64_t pass_tokens : {1, 8, 32}) {
    Engine cut = engine(pass_tokens);
    const auto got = generate(cut, requests);
    EXPECT_EQ(cut.stats().prompt_tokens, whole.stats().prompt_tokens);
    for (size_t i = 0; i < requests.size(); ++i) {
      for (size_t s = 0; s < 2; ++s) {
        EXPECT_EQ(got[i][s].ids, expected[i][s].ids) << "request " << i << " by " << pass_tokens;
        for (size_t t = 0; t < got[i][s].logprobs.size(); ++t)
          EXPECT_NEAR(got[i][s].logprobs[t], expected[i][s].logprobs[t], 1e-4);
      }
    }
  }
}

TEST_P(LongPrompts, LetOthersGoOnBetweenTheirPieces) {
  Engine cut = engine(16);
  std::vector<int> order;  // whose token came
  for (int i = 0; i < 2; ++i) {
    Request asked = request(i == 0 ? 5 : 150, static_cast<uint64_t>(i));
    asked.samples = 1;
    asked.sink = [&order, i](const TokenEvent&) { order.push_back(i); };
    cut.submit(asked);
  }
  cut.run();
  const auto first_long = std::find(order.begin(), order.end(), 1) - order.begin();
  EXPECT_GE(first_long, 9);  // 150 tokens take ten steps
  EXPECT_EQ(order.size(), 24u);
}

TEST_P(LongPrompts, GiveTheirPagesBackWhenCancelledOrDroppedHalfway) {
  Engine cut = engine(16, 170);  // room for one such request at a time
  for (const bool cancelled : {true, false}) {
    Request asked = request(120, 1);
    FinishReason finish = FinishReason::kNone;
    asked.sink = [&](const TokenEvent& event) { finish = event.finish; };
    const uint64_t id = cut.submit(asked);
    EXPECT_GT(cut.step(), 0);
    EXPECT_GT(cut.step(), 0);
    if (cancelled) {
      cut.cancel(id);
    } else {
      cut.drop(id);
    }
    EXPECT_EQ(cut.step(), 0);
    EXPECT_EQ(finish, cancelled ? FinishReason::kCancelled : FinishReason::kNone);
    EXPECT_LT(cut.stats().prompt_tokens, 60);
    cut.reset_stats();
  }
  Engine whole = engine(4096, 170);
  EXPECT_EQ(generate(cut, {request(140, 2)})[0][1].ids,
            generate(whole, {request(140, 2)})[0][1].ids);
}

INSTANTIATE_TEST_SUITE_P(Kinds, LongPrompts, ::testing::Values("v3-nano", "llm-nano", "wide latent"));

}  // namespace
}  // namespace fathom
