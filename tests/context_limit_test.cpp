// Nothing is computed beyond max_position_embeddings: requests and rows that would go there are
// refused with the numbers, and what just fits is answered.
#include <gtest/gtest.h>

#include "generate/engine.h"
#include "model/presets.h"
#include "model/testing.h"
#include "test_device.h"

namespace fathom {
namespace {

using testing::refusal;

struct Model {
  Model() : device(test_device()), decoder(config()) {
    decoder.allocate(device.memory());
    decoder.initialize(1);
  }
  static ModelConfig config() {
    ModelConfig c = model_preset("v3-nano").config;
    c.vocab_size = 32;
    c.max_position_embeddings = 64;
    return c;
  }

  Device device;
  Decoder decoder;
};

TEST(ContextLimit, PassesTheCollectedCasesOfFullContexts) {
  const Json::Array checks = testing::shared_checks("cache/B29.json");
  if (checks.empty()) GTEST_SKIP() << "../shared/cases is absent";
  Model model;
  Engine engine(model.device.kernels(), model.device.memory(), model.decoder, {});
  int answered = 0, refused = 0;
  for (const Json& check : checks) {
    SCOPED_TRACE(check.string_at("name"));
    // Where max_tokens is absent the server settles it; the engine is always told.
    if (check.at("input").at("max_tokens").is_null()) continue;
    Request request;
    request.prompt.assign(static_cast<size_t>(check.at("input").int_at("prompt_tokens")), 7);
    request.max_tokens = check.at("input").int_at("max_tokens");
    const Json& expect = check.at("expect");
    if (expect.int_at("status") == 200) {
      const auto tokens = static_cast<int64_t>(generate(engine, {request})[0][0].ids.size());
      EXPECT_LE(tokens, expect.int_at("at_most_new_tokens"));
      ++answered;
      continue;
    }
    const std::string message = refusal([&] { engine.submit(request); });
    EXPECT_NE(message, "");
    if (const Json* texts = expect.find("message_contains")) {
      for (const Json& text : texts->items())
        EXPECT_NE(message.find(text.as_string()), std::string::npos) << message;
    }
    ++refused;
  }
  EXPECT_GE(answered, 3);
  EXPECT_GE(refused, 5);
}

TEST(ContextLimit, RowsBeyondTheLastPositionAreRefused) {
  Model model;
  Pass pass = model.device.pass();
  const std::vector<int32_t> ids = {3};
  TokenLayout layout{{0, 1}, {63}, {}};
  EXPECT_EQ(refusal([&] { model.decoder.forward(pass, ids, layout); }), "");
  for (const int32_t position : {64, 5000, -1}) {
    layout.positions = {position};
    const std::string message = refusal([&] { model.decoder.forward(pass, ids, layout); });
    EXPECT_NE(message.find(concat("position ", position)), std::string::npos) << message;
    EXPECT_NE(message.find("max_position_embeddings = 64"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace fathom
