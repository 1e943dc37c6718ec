#include <gtest/gtest.h>

#include "app/plan_report.h"
#include "model/config_json.h"
#include "model/presets.h"

namespace fathom {
namespace {

Plan plan_of(const std::string& preset) {
  return make_plan(preset, model_preset(preset).config, {});
}

std::string text_of(const Plan& plan) { return plan_text(plan, plan_sections(plan)); }

TEST(PlanReport, OfV3SaysThePublishedFigures) {
  const std::string text = text_of(plan_of("v3"));
  for (const char* figure : {"671.0B", "37.55B", "36.63B", "70 272 bytes", "2 788K GPU-hours",
                             "2 664K GPU-hours", "119K GPU-hours", "5 000 GPU-hours", "$5.576M",
                             "250.45 G (260.64 G with MTP)", "without earlier research"})
    EXPECT_NE(text.find(figure), std::string::npos) << figure << " is missing in\n" << text;
}

TEST(PlanReport, SaysWhatTheClaimAboutTheCacheCompares) {
  const std::string text = text_of(plan_of("v2"));
  for (const char* part : {"-93.3 %", "at 6 bits", "67B model's GQA in bf16",
                           "compares equal shapes", "25 920 bytes", "389 120 bytes"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " is missing in\n" << text;
}

TEST(PlanReport, JsonHasTheFiguresUnrounded) {
  const Json json = plan_json(plan_of("v3"));
  EXPECT_EQ(json.at("parameters").int_at("total"), 671026419200);
  EXPECT_EQ(json.at("parameters").int_at("active"), 37552297472);
  EXPECT_EQ(json.at("parameters").int_at("active_without_embedding"), 36625618432);
  EXPECT_EQ(json.int_at("cache_bytes_per_token"), 70272);
  EXPECT_NEAR(json.at("train_flops_per_token").double_at("32768"), 465.4e9, 0.5e9);
  EXPECT_NEAR(json.at("train_flops_per_token_with_mtp").double_at("4096"), 260.6e9, 0.1e9);
  const Json& training = json.at("training");
  EXPECT_EQ(training.at("gpu_hours").double_at("total"), 2788e3);
  EXPECT_EQ(training.double_at("dollars"), 5.576e6);
  EXPECT_TRUE(
      plan_json(plan_of("v2")).at("training").at("gpu_hours").at("post_training").is_null());
}

// Every key of a config that figures depend on, with another value and the figures that must move.
struct Change {
  const char* key;
  Json value;
  bool cache;         // cache_bytes_per_token moves too
  bool total = true;  // parameters.total moves too; active ones always do
};

TEST(PlanReport, AnotherValueOfAnyKeyMovesEveryFigureThatDependsOnIt) {
  const Json base = config_to_json(model_preset("v3").config, "bfloat16");
  const Json before = plan_json(make_plan("v3", parse_config(base, "test"), {}));
  const std::vector<Change> changes = {
      {"hidden_size", 7680, false},           {"num_hidden_layers", 62, true},
      {"num_attention_heads", 64, false},     {"intermediate_size", 20480, false},
      {"vocab_size", 100000, false},          {"kv_lora_rank", 256, true},
      {"q_lora_rank", 1024, false},           {"qk_nope_head_dim", 64, false},
      {"qk_rope_head_dim", 32, true},         {"v_head_dim", 64, false},
      {"n_shared_experts", 2, false},         {"num_experts_per_tok", 4, false, false},
      {"moe_intermediate_size", 1024, false}, {"first_k_dense_replace", 1, false},
      {"moe_layer_freq", 2, false},           {"n_routed_experts", 128, false},
      {"tie_word_embeddings", true, false},   {"num_nextn_predict_layers", 0, false, false}};
  for (const auto& [key, value, cache, total] : changes) {
    SCOPED_TRACE(key);
    Json changed = base;
    ASSERT_TRUE(changed.contains(key));
    changed[key] = value;
    const Json after = plan_json(make_plan("changed", parse_config(changed, "test"), {}));
    const bool head_only = std::string(key) == "num_nextn_predict_layers";
    const bool storage_only = std::string(key) == "tie_word_embeddings";
    EXPECT_EQ(after.at("parameters").int_at("total") != before.at("parameters").int_at("total"),
              total);
    EXPECT_EQ(after.int_at("cache_bytes_per_token") != before.int_at("cache_bytes_per_token"),
              cache);
    for (const char* length : {"4096", "32768", "131072"}) {
      EXPECT_EQ(after.at("train_flops_per_token").double_at(length) !=
                    before.at("train_flops_per_token").double_at(length),
                !head_only && !storage_only);
      EXPECT_EQ(after.at("train_flops_per_token_with_mtp").double_at(length) !=
                    before.at("train_flops_per_token_with_mtp").double_at(length),
                !storage_only);
    }
    for (const char* part : {"pretraining", "context_extension", "post_training", "total"}) {
      EXPECT_EQ(after.at("training").at("gpu_hours").double_at(part) !=
                    before.at("training").at("gpu_hours").double_at(part),
                !storage_only)
          << part;
    }
    EXPECT_EQ(
        after.at("training").double_at("dollars") != before.at("training").double_at("dollars"),
        !storage_only);
  }
}

}  // namespace
}  // namespace fathom
