#include "model/presets.h"

#include <gtest/gtest.h>

#include "model/decoder.h"
#include "model/testing.h"

namespace fathom {
namespace {

struct Published {
  const char* preset;
  int64_t total, active, cache_bytes_bf16;  // active 0: all of them
};

// text-model notes 1.2, 1.3 and 2.7.
constexpr Published kPublished[] = {
    {"llm-7b", 6910365696, 0, 491520},
    {"llm-67b", 67425001472, 0, 389120},
    {"math-7b", 6910365696, 0, 491520},
    {"coder-1.3b", 1346471936, 0, 196608},
    {"coder-5.7b-mqa", 5700325376, 0, 16384},
    {"coder-6.7b", 6740512768, 0, 524288},
    {"coder-33b", 33342991360, 0, 253952},
    {"coder-7b-v1.5", 6910365696, 0, 491520},
    {"moe-16b", 16375728128, 2828650496, 229376},
    {"v2-lite", 15706484224, 2661150208, 31104},
    {"coder-v2-lite", 15706484224, 2661150208, 31104},
    {"v2", 235741434880, 21375800320, 69120},
    {"v2.5", 235741434880, 21375800320, 69120},
    {"coder-v2", 235741434880, 21375800320, 69120},
    {"v3", 671026419200, 37552297472, 70272},
    {"r1", 671026419200, 37552297472, 70272},
    {"r1-distill-qwen-1.5b", 1777088000, 0, 28672},
    {"r1-distill-qwen-7b", 7615616512, 0, 57344},
    {"r1-distill-qwen-14b", 14770033664, 0, 196608},
    {"r1-distill-qwen-32b", 32763876352, 0, 262144},
    {"r1-distill-llama-8b", 8030261248, 0, 131072},
    {"r1-distill-llama-70b", 70553706496, 0, 327680},
};

TEST(Presets, PublishedShapesHaveThePublishedTotals) {
  for (const Published& model : kPublished) {
    SCOPED_TRACE(model.preset);
    const ModelConfig& c = model_preset(model.preset).config;
    const ParameterCount count = count_parameters(c);
    EXPECT_EQ(count.total, model.total);
    EXPECT_EQ(count.active, model.active > 0 ? model.active : model.total);
    EXPECT_EQ(c.cache_bytes_per_token(2), model.cache_bytes_bf16);
  }
  EXPECT_EQ(count_parameters(model_preset("v3").config).multi_token, 11610068224);
}

TEST(Presets, AreSoundAndSurviveTheirOwnConfigJson) {
  for (const ModelPreset& preset : model_presets()) {
    SCOPED_TRACE(preset.name);
    ModelConfig c = preset.config;
    if (c.vocab_size == 0) c.vocab_size = 100;
    EXPECT_EQ(testing::refusal([&] { check_config(c); }), "");
    const Json json = config_to_json(c, "bfloat16");
    const ModelConfig back = parse_config(json, preset.name);
    EXPECT_EQ(config_to_json(back, "bfloat16"), json);
    EXPECT_EQ(back.rope_scaling, c.rope_scaling);
    EXPECT_EQ(back.torch_dtype, "bfloat16");
  }
}

// The count is arithmetic on the config; the decoder declares what is loaded and saved.
TEST(Presets, TheCountIsThatOfTheDeclaredParameters) {
  for (const ModelPreset& preset : model_presets()) {
    SCOPED_TRACE(preset.name);
    ModelConfig c = preset.config;
    if (c.vocab_size == 0) c.vocab_size = 100;
    Decoder decoder(c);
    int64_t declared = 0;
    for (const Parameter* p : decoder.parameters()) declared += p->declared.elements();
    const ParameterCount count = count_parameters(c);
    EXPECT_EQ(declared, count.total + count.multi_token);
  }
}

TEST(Presets, AnUnknownNameOffersTheNearest) {
  const std::string message = testing::refusal([] { model_preset("v2-light"); });
  EXPECT_NE(message.find("did you mean v2-lite"), std::string::npos) << message;
  EXPECT_TRUE(has_preset("v2-lite"));
  EXPECT_FALSE(has_preset("v2-light"));
}

}  // namespace
}  // namespace fathom
