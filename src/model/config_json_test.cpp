#include "model/config_json.h"

#include <gtest/gtest.h>

#include <limits>

#include "model/decoder.h"
#include "model/testing.h"

namespace fathom {
namespace {

using testing::expect_near;
using testing::refusal;
using testing::small_config;

Json with(Json json, const std::string& key, Json value) {
  json[key] = std::move(value);
  return json;
}

std::string refusal_of(const Json& json) {
  return refusal([&] { parse_config(json, "x/config.json"); });
}

// One error naming key, value and expectation, and the file.
void expect_refused(const Json& json, const std::vector<std::string>& texts) {
  const std::string message = refusal_of(json);
  EXPECT_NE(message.find("(x/config.json)"), std::string::npos) << message;
  for (const std::string& text : texts)
    EXPECT_NE(message.find(text), std::string::npos) << message << "\n  expected: " << text;
}

Json yarn(Json members = Json::object()) {
  Json rope =
      Json::object({{"type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 1024}});
  for (const auto& [key, value] : members.members()) rope[key] = value;
  return rope;
}

Json with_experts(Json json) {
  json["n_routed_experts"] = 8;
  json["num_experts_per_tok"] = 2;
  json["moe_intermediate_size"] = 12;
  return json;
}

TEST(ConfigJson, ReadsEveryFamilyWithThePublishedDefaults) {
  for (const ModelFamily& family : model_families()) {
    SCOPED_TRACE(family.model_type);
    const ModelConfig c = parse_config(small_config(family.model_type), "test");
    EXPECT_EQ(c.num_key_value_heads, 4);
    EXPECT_EQ(c.head_dim, 4);
    EXPECT_EQ(c.rms_norm_eps, 1e-6);
    EXPECT_EQ(c.rope_theta, 10000);
    EXPECT_EQ(c.rope_scaling, RopeScaling());
    EXPECT_EQ(c.num_nextn_predict_layers, 0);
    EXPECT_EQ(c.q_lora_rank, 0);
    EXPECT_FALSE(c.tie_word_embeddings);
    EXPECT_TRUE(c.eos_token_ids.empty());
    EXPECT_EQ(c.expert_layers(), 0);
    EXPECT_EQ(c.mla(), family.mla);
    EXPECT_EQ(c.qkv_bias(), family.qkv_bias);
  }
}

TEST(ConfigJson, ExpertsHaveTheDefaultsOfTheirFamily) {
  for (const char* type : {"deepseek", "deepseek_v2", "deepseek_v3"}) {
    SCOPED_TRACE(type);
    const ModelConfig c = parse_config(with_experts(small_config(type)), "test");
    EXPECT_EQ(c.expert_layers(), 3);
    EXPECT_EQ(c.moe_layer_freq, 1);
    EXPECT_EQ(c.n_group, 1);
    EXPECT_EQ(c.n_shared_experts, 0);
    EXPECT_EQ(c.routed_scaling_factor, 1);
    EXPECT_FALSE(c.norm_topk_prob);
    const bool v3 = c.model_type == "deepseek_v3";
    EXPECT_EQ(c.scoring_func, v3 ? "sigmoid" : "softmax");
    EXPECT_EQ(c.topk_method, v3 ? "noaux_tc" : "greedy");
  }
}

TEST(ConfigJson, LayersHaveExpertsFromTheFirstOnEveryFewth) {
  Json json = with_experts(with(small_config("deepseek_v2"), "num_hidden_layers", 7));
  json["first_k_dense_replace"] = 1;
  json["moe_layer_freq"] = 2;
  const ModelConfig c = parse_config(json, "test");
  for (int64_t layer = 0; layer < 7; ++layer)
    EXPECT_EQ(c.expert_layer(layer), layer == 2 || layer == 4 || layer == 6) << layer;
  Decoder decoder(c);
  EXPECT_EQ(decoder.expert_layers().size(), 3u);
}

TEST(ConfigJson, RefusesOtherModelsByName) {
  for (const char* type : {"deepseek_v32", "deepseek_v4", "qwen3", "mistral"}) {
    expect_refused(with(small_config("llama"), "model_type", type),
                   {concat("model_type is '", type, "'"), "llama, qwen2, deepseek, deepseek_v2"});
  }
  expect_refused(with(small_config("llama"), "architectures", Json::array({"MistralForCausalLM"})),
                 {"architectures[0] is MistralForCausalLM", "LlamaForCausalLM"});
}

TEST(ConfigJson, OneErrorNamesKeyValueAndExpectation) {
  const Json llama = small_config("llama"), mla = small_config("deepseek_v2"),
             moe = with_experts(mla), v3 = with_experts(small_config("deepseek_v3"));
  expect_refused(with(llama, "hidden_size", "wide"), {"hidden_size", "wide", "integer"});
  expect_refused(with(llama, "hidden_size", -16), {"hidden_size is -16", "positive"});
  expect_refused(with(llama, "hidden_size", 18), {"num_attention_heads is 4", "hidden_size = 18"});
  expect_refused(with(llama, "num_key_value_heads", 3), {"num_key_value_heads is 3", "divisor"});
  expect_refused(with(llama, "head_dim", 5), {"head_dim is 5", "even"});
  expect_refused(with(llama, "hidden_act", "gelu"), {"hidden_act is 'gelu'", "silu"});
  expect_refused(with(llama, "attention_bias", true), {"attention_bias is true", "false"});
  expect_refused(with(llama, "mlp_bias", true), {"mlp_bias is true", "false"});
  expect_refused(with(small_config("qwen2"), "use_sliding_window", true),
                 {"use_sliding_window is true"});
  expect_refused(with(llama, "partial_rotary_factor", 0.5), {"partial_rotary_factor is 0.5"});
  expect_refused(with(llama, "eos_token_id", -1), {"eos_token_id is -1", "token id"});
  expect_refused(with(llama, "eos_token_id", Json::array({1, "end"})), {"eos_token_id", "end"});
  expect_refused(with(llama, "rms_norm_eps", 0), {"rms_norm_eps is 0", "positive"});
  expect_refused(with_experts(llama), {"n_routed_experts is 8", "model_type llama"});
  expect_refused(with(mla, "kv_lora_rank", 0), {"kv_lora_rank is 0", "positive"});
  expect_refused(with(mla, "qk_rope_head_dim", 3), {"qk_rope_head_dim is 3", "even"});
  expect_refused(with(mla, "num_nextn_predict_layers", 1), {"num_nextn_predict_layers is 1"});
  expect_refused(with(mla, "rope_interleave", false), {"rope_interleave is false"});
  expect_refused(with(moe, "scoring_func", "sigmoid"), {"scoring_func is sigmoid", "softmax"});
  expect_refused(with(moe, "topk_method", "noaux_tc"), {"topk_method is noaux_tc", "greedy"});
  expect_refused(with(moe, "num_experts_per_tok", 9), {"num_experts_per_tok is 9", "8"});
  expect_refused(with(v3, "scoring_func", "softmax"), {"scoring_func is softmax", "sigmoid"});
  expect_refused(with(v3, "topk_method", "greedy"), {"topk_method is greedy", "noaux_tc"});
  expect_refused(with(v3, "n_group", 3), {"n_group is 3", "divisor"});
  expect_refused(with(v3, "n_group", 8), {"n_group is 8", "two experts"});
  expect_refused(with(with(v3, "n_group", 4), "topk_group", 5), {"topk_group is 5", "n_group = 4"});
  expect_refused(with(v3, "moe_layer_freq", 0), {"moe_layer_freq is 0", "positive"});
  expect_refused(with(v3, "routed_scaling_factor", 0), {"routed_scaling_factor is 0"});
  Json missing = mla;
  missing.erase("v_head_dim");
  expect_refused(missing, {"v_head_dim"});
}

// So that no product of them overflows: a hostile file may give any 63 bits.
TEST(ConfigJson, RefusesSizesBeyondAnyModel) {
  const int64_t huge = std::numeric_limits<int64_t>::max() - 1;
  const Json llama = with(small_config("llama"), "head_dim", 4);
  const Json v3 = with_experts(small_config("deepseek_v3"));
  for (const char* key : {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
                          "head_dim", "intermediate_size", "max_position_embeddings"})
    expect_refused(with(llama, key, huge), {concat(key, " is ", huge), "at most"});
  for (const char* key :
       {"q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim",
        "n_routed_experts", "n_shared_experts", "moe_intermediate_size"})
    expect_refused(with(v3, key, huge), {concat(key, " is ", huge), "at most"});
  expect_refused(with(small_config("deepseek"), "head_dim", int64_t{1} << 62), {"head_dim is"});
}

TEST(ConfigJson, CountsTheLargestModelItAccepts) {
  Json json = with_experts(small_config("deepseek_v3"));
  const int64_t width = 1 << 17;
  for (const char* key : {"hidden_size", "q_lora_rank", "kv_lora_rank", "qk_nope_head_dim",
                          "qk_rope_head_dim", "v_head_dim", "moe_intermediate_size"})
    json[key] = width;
  json["vocab_size"] = 1 << 24;
  json["num_hidden_layers"] = 1 << 10;
  json["num_attention_heads"] = 1 << 12;
  json["intermediate_size"] = 1 << 20;
  json["num_nextn_predict_layers"] = 1;
  for (const char* key : {"n_routed_experts", "n_shared_experts", "num_experts_per_tok"})
    json[key] = 1 << 14;
  const ModelConfig c = parse_config(json, "test");
  const ParameterCount count = count_parameters(c);
  EXPECT_GT(count.total, int64_t{1} << 59);
  EXPECT_LT(count.total, int64_t{1} << 61);  // so its bytes in f32 are counted, too
  EXPECT_GT(forward_flops(c), 0);
  EXPECT_GT(multi_token_flops(c), 0);
  EXPECT_GT(c.cache_bytes_per_token(4), 0);
}

TEST(ConfigJson, RefusesRotarySettingsThatMakeNoSense) {
  const Json llama = small_config("llama");
  const auto scaled = [&](Json rope) { return with(llama, "rope_scaling", std::move(rope)); };
  expect_refused(scaled(Json::object({{"type", "su"}})), {"rope_type is 'su'", "yarn, llama3"});
  expect_refused(scaled(Json::object({{"type", "yarn"}})), {"rope_scaling.factor is missing"});
  expect_refused(scaled(Json::object({{"type", 3}})), {"rope_scaling.type: expected a string"});
  expect_refused(scaled(yarn(Json::object({{"beta_fast", "many"}}))),
                 {"rope_scaling.beta_fast: expected a number"});
  expect_refused(scaled("yarn"), {"rope_scaling is \"yarn\"", "object"});
  expect_refused(scaled(Json::object({{"type", "linear"}})), {"factor"});
  expect_refused(scaled(yarn(Json::object({{"factor", 0.5}}))), {"rope_scaling.factor is 0.5"});
  expect_refused(scaled(yarn(Json::object({{"original_max_position_embeddings", 0}}))),
                 {"original_max_position_embeddings is 0"});
  expect_refused(scaled(yarn(Json::object({{"beta_fast", 0.5}}))), {"beta_fast is 0.5", "1"});
  expect_refused(scaled(yarn(Json::object({{"mscale", 1e308}}))), {"mscale is 1e+308", "0 to"});
  expect_refused(scaled(yarn(Json::object({{"mscale_all_dim", -1}}))), {"mscale_all_dim is -1"});
  expect_refused(scaled(yarn(Json::object({{"factor", 1e300}}))), {"factor is 1e+300"});
  expect_refused(scaled(yarn(Json::object({{"attention_factor", 1.5}}))),
                 {"attention_factor is 1.5"});
  expect_refused(scaled(yarn(Json::object({{"truncate", false}}))), {"truncate is false"});
  Json missing = yarn();
  missing.erase("original_max_position_embeddings");
  expect_refused(scaled(missing), {"original_max_position_embeddings"});
  const Json llama3 = Json::object({{"rope_type", "llama3"},
                                    {"factor", 8},
                                    {"low_freq_factor", 4},
                                    {"high_freq_factor", 1},
                                    {"original_max_position_embeddings", 64}});
  expect_refused(scaled(llama3), {"high_freq_factor is 1", "low_freq_factor = 4"});
  expect_refused(with(llama, "rope_theta", 0), {"rope_theta is 0", "positive"});
}

TEST(ConfigJson, TheTwoPlacesOfRotarySettingsMustAgree) {
  Json json = with(small_config("deepseek_v3"), "rope_scaling", yarn());
  json["rope_parameters"] = yarn(Json::object({{"rope_theta", 500}}));
  EXPECT_EQ(parse_config(json, "test").rope_theta, 500);
  json["rope_theta"] = 500.0;
  EXPECT_EQ(refusal_of(json), "");
  json["rope_theta"] = 600;
  expect_refused(json, {"rope_theta is 600", "500"});
  json["rope_theta"] = 500;
  json["rope_scaling"] = yarn(Json::object({{"factor", 8}}));
  expect_refused(json, {"rope_scaling is", "the same as rope_parameters"});
}

TEST(ConfigJson, WritesBackWhatItReadWithUnknownKeys) {
  Json json = with(small_config("deepseek_v2"), "my_note", Json::array({1, Json()}));
  json["rope_scaling"] = yarn(Json::object({{"mscale", 0.707}, {"finetuned", true}}));
  json["sliding_window"] = 4096;
  const Json back = config_to_json(parse_config(json, "test"), "bfloat16");
  EXPECT_EQ(back.at("my_note"), json.at("my_note"));
  EXPECT_EQ(back.int_at("sliding_window"), 4096);
  EXPECT_TRUE(back.at("rope_scaling").bool_at("finetuned"));
  EXPECT_EQ(back.at("rope_scaling").string_at("type"), "yarn");
  EXPECT_FALSE(back.at("rope_scaling").contains("rope_type"));
  EXPECT_EQ(back.at("rope_scaling").double_at("mscale"), 0.707);
  EXPECT_FALSE(back.contains("rope_parameters"));
  EXPECT_EQ(back.string_at("torch_dtype"), "bfloat16");
  EXPECT_TRUE(back.at("eos_token_id").is_null());
  EXPECT_EQ(back.at("architectures").at(0).as_string(), "DeepseekV2ForCausalLM");
  const ModelConfig again = parse_config(back, "test");
  EXPECT_EQ(again.rope_scaling, parse_config(json, "test").rope_scaling);
}

TEST(ConfigJson, NewerKeysAreWrittenBesideTheOlderOnes) {
  Json json = with(small_config("qwen2"), "dtype", "float16");
  json["rope_parameters"] = Json::object({{"rope_type", "default"}, {"rope_theta", 5e5}});
  const Json back = config_to_json(parse_config(json, "test"), "float32");
  EXPECT_EQ(back.string_at("dtype"), "float32");
  EXPECT_EQ(back.string_at("torch_dtype"), "float32");
  EXPECT_EQ(back.double_at("rope_theta"), 5e5);
  EXPECT_EQ(back.at("rope_parameters").double_at("rope_theta"), 5e5);
  EXPECT_TRUE(back.at("rope_scaling").is_null());
  EXPECT_FALSE(back.contains("attention_bias"));
  EXPECT_EQ(parse_config(back, "test").rope_theta, 5e5);
}

TEST(ConfigJson, WhatAMultiTokenHeadReadsIsAKeyOnlyWhereItIsNotTheDefault) {
  const Json json = small_config("deepseek_v3");
  const ModelConfig after = parse_config(json, "test");
  EXPECT_EQ(after.mtp_hidden_state, "after_norm");
  EXPECT_FALSE(config_to_json(after, "float32").contains("mtp_hidden_state"));
  const ModelConfig before = parse_config(with(json, "mtp_hidden_state", "before_norm"), "test");
  EXPECT_EQ(config_to_json(before, "float32").string_at("mtp_hidden_state"), "before_norm");
  expect_refused(with(json, "mtp_hidden_state", "neither"),
                 {"mtp_hidden_state is neither", "after_norm or before_norm"});
}

TEST(ConfigJson, IsWrittenWithoutTheQuantisationOfTheWeightsItWasReadBeside) {
  const Json fp8 =
      Json::object({{"quant_method", "fp8"}, {"weight_block_size", Json::array({128, 128})}});
  const ModelConfig c =
      parse_config(with(small_config("deepseek_v3"), "quantization_config", fp8), "test");
  EXPECT_FALSE(config_to_json(c, "bfloat16").contains("quantization_config"));
}

// ---- the collected cases

TEST(ConfigJson, PassesTheCollectedCasesOfRotarySettings) {
  const Json::Array checks = testing::shared_checks("config/B11.json");
  if (checks.empty()) GTEST_SKIP() << "../shared/cases is absent";
  for (const Json& check : checks) {
    SCOPED_TRACE(check.string_at("name"));
    const ModelConfig c = parse_config(check.at("input"), "case");
    const Json& expect = check.at("expect");
    const std::string kind = name_of(c.rope_scaling.kind);
    EXPECT_EQ(kind == "default" ? "none" : kind, expect.string_at("rope"));
    EXPECT_EQ(c.rope_theta, expect.double_at("rope_theta"));
    expect_near(c.softmax_scale(), expect.double_at("softmax_scale"), 1e-6, "softmax_scale");
    expect_near(c.rope_scaling.cos_sin_factor(), expect.double_at("cos_sin_factor"), 1e-6, "cos");
    if (expect.contains("factor")) {
      EXPECT_EQ(c.rope_scaling.factor, expect.double_at("factor"));
    }
  }
}

TEST(ConfigJson, PassesTheCollectedCasesOfLatentAttention) {
  const Json::Array checks = testing::shared_checks("config/B12.json");
  if (checks.empty()) GTEST_SKIP() << "../shared/cases is absent";
  for (const Json& check : checks) {
    SCOPED_TRACE(check.string_at("name"));
    const ModelConfig c = parse_config(check.at("input"), "case");
    const Json& expect = check.at("expect");
    EXPECT_EQ(c.cache_bytes_per_token(2), expect.int_at("kv_cache_bytes_per_token_bf16"));
    EXPECT_EQ(c.cache_width(), expect.int_at("cached_values_per_layer"));
    Decoder decoder(c);
    for (int64_t layer = 0; layer < c.num_hidden_layers; ++layer) {
      const std::string prefix = concat("model.layers.", layer, ".self_attn.");
      Json tensors = Json::object();
      for (const Parameter* p : decoder.parameters()) {
        for (const ParameterPart& part : p->parts) {
          if (part.name.starts_with(prefix))
            tensors[part.name.substr(prefix.size())] = Json(part.shape.to_vector());
        }
      }
      const Json& expected = expect.at("attention_tensors");
      EXPECT_EQ(tensors.size(), expected.size()) << tensors.dump();
      for (const auto& [name, shape] : expected.members())
        EXPECT_EQ(tensors.at(name), shape) << name;
    }
  }
}

TEST(ConfigJson, PassesTheCollectedCasesOfEndTokensAndUnknownKeys) {
  const Json::Array checks = testing::shared_checks("config/B13.json");
  if (checks.empty()) GTEST_SKIP() << "../shared/cases is absent";
  for (const Json& check : checks) {
    SCOPED_TRACE(check.string_at("name"));
    Json json = small_config("llama");
    for (const auto& [key, value] : check.at("input").at("config").members()) json[key] = value;
    ModelConfig c = parse_config(json, "case");
    if (const Json* generation = check.at("input").find("generation_config"))
      join_generation_config(c, *generation);
    const Json& expect = check.at("expect");
    EXPECT_EQ(Json(c.eos_token_ids), expect.at("stop_ids"));
    if (expect.contains("dtype")) {
      EXPECT_EQ(c.torch_dtype, expect.string_at("dtype"));
    }
    if (!expect.contains("written_back_has")) continue;
    const Json back = config_to_json(c, "float32");
    for (const auto& [key, value] : expect.at("written_back_has").members())
      EXPECT_EQ(back.at(key), value) << key;
  }
}

TEST(ConfigJson, GenerationConfigMayGiveBeginAndPaddingIds) {
  ModelConfig c = parse_config(with(small_config("llama"), "bos_token_id", 3), "test");
  EXPECT_EQ(c.pad_token_id, -1);
  join_generation_config(c, Json::object({{"bos_token_id", 4}, {"pad_token_id", 5}}));
  EXPECT_EQ(c.bos_token_id, 4);
  EXPECT_EQ(c.pad_token_id, 5);
}

}  // namespace
}  // namespace fathom
