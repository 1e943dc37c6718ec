#include <gtest/gtest.h>

#include <map>
#include <set>

#include "app/plan_report.h"
#include "base/error.h"
#include "io/files.h"
#include "io/testing.h"
#include "model/config_json.h"
#include "model/presets.h"

namespace fathom {
namespace {

Plan plan_of(const std::string& preset, const PlanInputs& inputs = {}) {
  return make_plan(preset, model_preset(preset).config, inputs);
}

std::string text_of(const Plan& plan) { return plan_text(plan, plan_sections(plan)); }

void expect_parts(const std::string& text, const std::vector<const char*>& parts) {
  for (const char* part : parts)
    EXPECT_NE(text.find(part), std::string::npos) << part << " is missing in\n" << text;
}

TEST(PlanReport, OfV3SaysThePublishedFigures) {
  expect_parts(
      text_of(plan_of("v3")),
      {"671.0B", "37.55B (36.63B", "70 272 bytes per token", "2 788K GPU-hours", "2 664K GPU-hours",
       "119K GPU-hours", "5 000 GPU-hours", "$5.576M", "250.45 G (260.64 G with MTP)",
       "without earlier research", "waits 45 chunks", "waits 14 chunks", "638.6M of 653.9B",
       "8 x h200", "4.90M tokens", "288 on 32 GPUs"});
}

TEST(PlanReport, SaysWhatTheClaimAboutTheCacheCompares) {
  // Lines are broken anywhere.
  std::string text = text_of(plan_of("v2"));
  for (size_t at = 0; (at = text.find("\n  ", at)) != std::string::npos;) text.replace(at, 3, " ");
  expect_parts(text, {"-93.3 %", "at 6 bits", "67B model's GQA in bf16", "compares equal shapes",
                      "25 920 bytes", "389 120 bytes"});
}

TEST(PlanReport, ComparesPricesOfTheirDay) {
  expect_parts(text_of(plan_of("v3")),
               {"Prices on 2025-02-08", "$0.07 / $0.27 / $1.10", "as of 2026-09-30",
                "$1.25 / $2.50 / $10.00", "9.3x input, 9.1x output", "16:30-00:30 UTC"});
  PlanInputs night;
  night.price_date = "2025-03-03T20:00:00Z";
  const Json prices = plan_json(plan_of("v3", night)).at("prices");
  EXPECT_EQ(prices.at("price").double_at("miss"), 0.135);
  PlanInputs another;
  another.price_model = "deepseek-v4-pro";
  another.price_date = "2026-06-01";
  expect_parts(text_of(plan_of("v3", another)), {"$0.003625 / $0.435 / $0.87", "gpt-4o"});
  expect_parts(text_of(plan_of("llm-7b")), {"has none of this model"});
  another.price_model = "no-such";
  EXPECT_THROW(plan_of("v3", another), Error);
}

TEST(PlanReport, PlacesExpertsByTheirLoads) {
  PlanInputs inputs;
  inputs.expert_loads.assign(2, std::vector<double>(256, 1));
  inputs.expert_loads[1][7] = 200;
  const Json placement = plan_json(plan_of("v3", inputs)).at("placement");
  EXPECT_EQ(placement.int_at("replicas"), 288);
  EXPECT_EQ(placement.at("layers").size(), 2u);
  const Json& counts = placement.at("layers").at(size_t{1}).at("replica_counts");
  EXPECT_GT(counts.at(size_t{7}).as_int(), 1);
  expect_parts(text_of(plan_of("v3", inputs)), {"in order", "placed", "mean of 2 layers"});
  inputs.expert_loads[1].pop_back();
  EXPECT_THROW(plan_of("v3", inputs), Error);
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
  const Json v2 = plan_json(plan_of("v2"));
  EXPECT_TRUE(v2.at("training").at("gpu_hours").at("post_training").is_null());
}

TEST(PlanReport, ThePageHasEverySection) {
  const TemporaryFolder folder;
  const Plan plan = plan_of("v3");
  const std::vector<PlanSection> sections = plan_sections(plan);
  write_plan_page(plan, sections, folder.file("plan.html"));
  const std::string page = read_file(folder.file("plan.html"));
  for (const PlanSection& section : sections)
    EXPECT_NE(page.find(section.title), std::string::npos) << section.title;
  expect_parts(page, {"671.0B", "$5.576M", "2 788K", "data-bound-of-decoding", "<svg"});
}

// ---------------------------------------------------------------- every key, every figure

using Members = std::set<std::string>;

// Members of the JSON that may depend on the config; of the cache its size alone, as the rest
// compares with other shapes.
const Members kAll = {"parameters",
                      "cache_bytes_per_token",
                      "train_flops_per_token",
                      "train_flops_per_token_with_mtp",
                      "decode_flops_per_token",
                      "training",
                      "laws",
                      "memory_per_gpu",
                      "placement",
                      "inference"};

Members without(Members members, const Members& left_out) {
  for (const std::string& member : left_out) members.erase(member);
  return members;
}

// Everything but the config held fixed, so that what moves moves by it.
PlanInputs fixed_inputs() {
  PlanInputs inputs;
  inputs.tokens = 14.8e12;
  inputs.weight_bits = 8;
  inputs.accelerators = 16;
  return inputs;
}

Json plan_of_config(const Json& config) {
  return plan_json(make_plan("config.json", parse_config(config, "test"), fixed_inputs()));
}

void expect_moves(const Json& base, const std::string& key, const Json& value,
                  const Members& expected) {
  SCOPED_TRACE(key);
  ASSERT_TRUE(base.contains(key));
  Json changed = base;
  changed[key] = value;
  ASSERT_NE(changed, base);
  const Json before = plan_of_config(base), after = plan_of_config(changed);
  for (const std::string& member : kAll)
    EXPECT_EQ(before.at(member) != after.at(member), expected.contains(member)) << member;
  if (!expected.contains("training")) return;
  for (const char* part : {"pretraining", "total"})
    EXPECT_NE(after.at("training").at("gpu_hours").double_at(part),
              before.at("training").at("gpu_hours").double_at(part));
  EXPECT_NE(after.at("training").double_at("dollars"), before.at("training").double_at("dollars"));
}

TEST(PlanReport, AnotherValueOfAnyKeyMovesTheFiguresThatDependOnIt) {
  const Json base = config_to_json(model_preset("v3").config, "bfloat16");
  const Members no_cache = without(kAll, {"cache_bytes_per_token"});
  const Members inside = without(no_cache, {"placement"});  // of a layer, but not of its experts
  expect_moves(base, "hidden_size", 7680, no_cache);
  expect_moves(base, "num_hidden_layers", 62, kAll);
  expect_moves(base, "num_attention_heads", 64, inside);
  expect_moves(base, "intermediate_size", 20480, inside);
  expect_moves(base, "vocab_size", 100000, without(inside, {"laws"}));
  expect_moves(base, "kv_lora_rank", 256, without(kAll, {"placement"}));
  expect_moves(base, "q_lora_rank", 1024, inside);
  expect_moves(base, "qk_nope_head_dim", 64, inside);
  expect_moves(base, "qk_rope_head_dim", 32, without(kAll, {"placement"}));
  expect_moves(base, "v_head_dim", 64, inside);
  expect_moves(base, "n_shared_experts", 2, inside);
  expect_moves(base, "n_routed_experts", 128, no_cache);
  expect_moves(base, "num_experts_per_tok", 4, without(inside, {"memory_per_gpu"}));
  expect_moves(base, "moe_intermediate_size", 1024, no_cache);
  expect_moves(base, "first_k_dense_replace", 1, no_cache);
  expect_moves(base, "moe_layer_freq", 2, no_cache);
  expect_moves(base, "n_group", 4, {"placement"});
  expect_moves(base, "topk_group", 2, {"placement"});
  expect_moves(base, "tie_word_embeddings", true, {"parameters", "memory_per_gpu", "inference"});
  expect_moves(base, "num_nextn_predict_layers", 0,
               {"parameters", "train_flops_per_token_with_mtp", "training"});
}

TEST(PlanReport, AnotherValueOfAnyKeyMovesTheFiguresOfADenseModel) {
  const Json base = config_to_json(model_preset("llm-67b").config, "bfloat16");
  const Members dense = without(kAll, {"placement"});
  const Members no_cache = without(dense, {"cache_bytes_per_token"});
  expect_moves(base, "hidden_size", 7168, no_cache);
  expect_moves(base, "num_hidden_layers", 80, dense);
  expect_moves(base, "num_attention_heads", 32, no_cache);
  expect_moves(base, "num_key_value_heads", 4, dense);
  expect_moves(base, "head_dim", 64, dense);
  expect_moves(base, "intermediate_size", 11008, no_cache);
  expect_moves(base, "vocab_size", 32256, without(no_cache, {"laws"}));
}

}  // namespace
}  // namespace fathom
