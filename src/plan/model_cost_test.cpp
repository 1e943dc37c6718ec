#include "plan/model_cost.h"

#include "model/presets.h"
#include "plan/testing.h"

namespace fathom {
namespace {

using testing::expect_within;
using testing::kClose;
using testing::kRounded;

const ModelConfig& preset(const char* name) { return model_preset(name).config; }

TEST(ModelCost, CountsActiveWeightsWithAndWithoutTheEmbedding) {
  const ModelSize v3 = model_size(preset("v3"));
  EXPECT_EQ(v3.total, 671026419200);
  expect_within(static_cast<double>(v3.active), 37.552e9, kClose, "v3 active");
  expect_within(static_cast<double>(v3.active_without_embedding), 36.626e9, kClose, "v3 less");
  EXPECT_EQ(v3.active - v3.active_without_embedding, 926679040);
  const ModelSize v2 = model_size(preset("v2"));
  EXPECT_EQ(v2.total, 235741434880);
  expect_within(static_cast<double>(v2.active), 21.376e9, kClose, "v2 active");
  expect_within(static_cast<double>(v2.active_without_embedding), 20.852e9, kClose, "v2 less");
  const ModelSize lite = model_size(preset("v2-lite"));
  EXPECT_EQ(lite.total, 15706484224);
  expect_within(static_cast<double>(lite.active), 2.661e9, kClose, "lite active");
  expect_within(static_cast<double>(lite.active_without_embedding), 2.451e9, kClose, "lite less");
  EXPECT_EQ(model_size(preset("moe-16b")).total, 16375728128);
  expect_within(static_cast<double>(model_size(preset("moe-16b")).active), 2.829e9, kClose, "16b");
  EXPECT_EQ(model_size(preset("llm-7b")).total, 6910365696);
  EXPECT_EQ(model_size(preset("llm-67b")).total, 67425001472);
  expect_within(static_cast<double>(model_size(preset("llm-7b")).non_embedding), 6.072e9, kClose,
                "7b without tables");
  expect_within(static_cast<double>(model_size(preset("llm-67b")).non_embedding), 65.747e9, kClose,
                "67b without tables");
  expect_within(static_cast<double>(model_size(preset("coder-1.3b")).total), 1.346e9, kClose,
                "coder 1.3b");
  expect_within(static_cast<double>(model_size(preset("coder-6.7b")).total), 6.741e9, kClose,
                "coder 6.7b");
  expect_within(static_cast<double>(model_size(preset("coder-33b")).total), 33.343e9, kClose,
                "coder 33b");
}

TEST(ModelCost, CountsTheMultiTokenModuleAloneAndWithItsTables) {
  const ModelSize v3 = model_size(preset("v3"));
  expect_within(static_cast<double>(v3.multi_token), 11.61e9, kClose, "alone");
  expect_within(static_cast<double>(v3.multi_token_active), 0.69e9, kRounded, "alone, active");
  expect_within(static_cast<double>(v3.multi_token_with_tables), 13.46e9, kClose, "tables");
  expect_within(static_cast<double>(v3.multi_token_active_with_tables), 2.54e9, kClose,
                "tables, active");
  EXPECT_EQ(model_size(preset("v2")).multi_token_with_tables, 0);
}

struct Blocks {
  const char* preset;
  int64_t attention, dense, expert, embedding;
};

TEST(ModelCost, KnowsTheBuildingBlocks) {
  constexpr Blocks kBlocks[] = {
      {"v3", 187107328, 396361728, 44040192, 926679040},
      {"v2", 149227520, 188743680, 23592960, 524288000},
      {"v2-lite", 13763072, 67239936, 8650752, 209715200},
  };
  for (const Blocks& blocks : kBlocks) {
    SCOPED_TRACE(blocks.preset);
    const ModelConfig& c = preset(blocks.preset);
    EXPECT_EQ(attention_layer_weights(c), blocks.attention);
    EXPECT_EQ(feed_forward_weights(c, c.intermediate_size), blocks.dense);
    EXPECT_EQ(expert_weights(c), blocks.expert);
    EXPECT_EQ(c.vocab_size * c.hidden_size, blocks.embedding);
  }
}

// The planner's parts and the model's own count must be one arithmetic.
TEST(ModelCost, TheBuildingBlocksAddUpToTheWholeModel) {
  for (const ModelPreset& each : model_presets()) {
    SCOPED_TRACE(each.name);
    ModelConfig c = each.config;
    if (c.vocab_size == 0) c.vocab_size = 100;
    const int64_t experts = main_expert_layers(c), layers = c.num_hidden_layers;
    int64_t total = (c.tie_word_embeddings ? 1 : 2) * c.vocab_size * c.hidden_size + c.hidden_size;
    total += layers * (attention_layer_weights(c) + 2 * c.hidden_size);
    total += (layers - experts) * feed_forward_weights(c, c.intermediate_size);
    total += routed_expert_weights(c) + experts * c.n_shared_experts * expert_weights(c);
    total += experts * c.n_routed_experts * (c.hidden_size + (c.correction_bias() ? 1 : 0));
    EXPECT_EQ(total, model_size(c).total);
  }
}

struct Flops {
  const char* preset;
  double weights, at_4k, at_32k, at_128k;  // 1e9
};

TEST(ModelCost, OperationsOfTrainingFollowTheClosedForm) {
  constexpr Flops kFlops[] = {
      {"v3", 35.698, 250.45, 465.4, 1202},
      {"v2", 20.327, 155.30, 366.7, 1091},
      {"v2-lite", 2.2416, 16.41, 28.3, 69.1},
  };
  for (const Flops& flops : kFlops) {
    const ModelConfig& c = preset(flops.preset);
    expect_within(static_cast<double>(active_matmul_weights(c)), flops.weights * 1e9, kClose,
                  flops.preset);
    expect_within(train_flops_at(c, 4096), flops.at_4k * 1e9, kClose, flops.preset);
    expect_within(train_flops_at(c, 32768), flops.at_32k * 1e9, 2e-3, flops.preset);
    expect_within(train_flops_at(c, 131072), flops.at_128k * 1e9, kClose, flops.preset);
  }
}

TEST(ModelCost, MultiTokenPredictionCostsAsMuchAsAPeerMeasured) {
  const ModelConfig& v3 = preset("v3");
  expect_within(train_flops_with_mtp_at(v3, 4096), 260.6e9, kClose, "with MTP");
  expect_within(train_flops_with_mtp_at(v3, 4096) - train_flops_at(v3, 4096), 10.2e9, kRounded,
                "MTP");
  // Megatron-Bridge: 338 TFLOPS at 1297 tokens/s.
  expect_within(train_flops_with_mtp_at(v3, 4096), 338e12 / 1297, kClose, "a peer's");
  EXPECT_EQ(train_flops_with_mtp_at(preset("v2"), 4096), train_flops_at(preset("v2"), 4096));
}

TEST(ModelCost, DecodingReadsTheLatentInEachHead) {
  expect_within(decode_attention_flops_at(preset("v3"), 4096), 69.6e9, kClose, "v3");
  expect_within(decode_attention_flops_at(preset("v2"), 4096), 68.5e9, kClose, "v2");
  expect_within(decode_attention_flops_at(preset("v2-lite"), 4096), 3.85e9, kClose, "lite");
  expect_within(decode_flops_at(preset("v3"), 4989), 158e9, kClose, "v3 at 5K");
  EXPECT_GT(decode_attention_flops_at(preset("v3"), 4989), decode_flops_at(preset("v3"), 4989) / 2);
}

TEST(ModelCost, ATokenIsSentToFewNodes) {
  const ExpertExchange v3 = expert_exchange(preset("v3"));
  EXPECT_EQ(v3.dispatch_bytes, 7392);
  EXPECT_EQ(v3.combine_bytes, 14336);
  EXPECT_EQ(v3.nodes, 4);
  expect_within(static_cast<double>(4 * v3.dispatch_bytes), 29.6e3, kRounded, "out");
  expect_within(static_cast<double>(4 * v3.combine_bytes), 57.3e3, kClose, "back");
  EXPECT_EQ(expert_exchange(preset("v2")).nodes, 3);
  EXPECT_EQ(expert_exchange(preset("v2-lite")).nodes, 6);
}

struct Cache {
  const char* preset;
  int64_t elements, bytes;
};

TEST(ModelCost, CachesTakeThePublishedBytes) {
  constexpr Cache kCaches[] = {
      {"v3", 35136, 70272},       {"v2", 34560, 69120},        {"v2-lite", 15552, 31104},
      {"llm-7b", 245760, 491520}, {"llm-67b", 194560, 389120}, {"coder-33b", 126976, 253952},
  };
  for (const Cache& cache : kCaches) {
    EXPECT_EQ(cache_elements_per_token(preset(cache.preset)), cache.elements) << cache.preset;
    EXPECT_EQ(preset(cache.preset).cache_bytes_per_token(2), cache.bytes) << cache.preset;
  }
  EXPECT_EQ(fp8_cache_bytes_per_token(preset("v3")), 40016);
  EXPECT_EQ(fp8_cache_bytes_per_token(preset("llm-67b")), 0);
}

TEST(ModelCost, ComparesCachesOfEqualShapes) {
  const std::vector<CacheAlternative> v2 = cache_alternatives(preset("v2"));
  ASSERT_EQ(v2.size(), 4u);
  EXPECT_EQ(v2[0].elements, 2 * 128 * 128 * 60);
  EXPECT_EQ(v2[1].elements, 2 * 8 * 128 * 60);
  EXPECT_EQ(v2[2].elements, 2 * 128 * 60);
  EXPECT_EQ(v2[3].elements, 34560);
  EXPECT_TRUE(v2[3].is_this_one);
  const std::vector<CacheAlternative> dense = cache_alternatives(preset("llm-67b"));
  ASSERT_EQ(dense.size(), 3u);
  EXPECT_EQ(dense[1].name, "gqa-8");
  EXPECT_TRUE(dense[1].is_this_one);
  EXPECT_EQ(dense[1].elements, 194560);
}

TEST(ModelCost, ThePublishedSavingIsQuantisedAgainstAnotherModel) {
  const CacheClaim claim = cache_claim();
  EXPECT_EQ(claim.quantised_bytes, 25920);
  EXPECT_EQ(claim.dense_bytes, 389120);
  expect_within(claim.published_saving, 0.933, kClose, "published");
  expect_within(claim.saving_at_equal_bits, 1 - 69120.0 / 389120, kClose, "both in bf16");
}

}  // namespace
}  // namespace fathom
