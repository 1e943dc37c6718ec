#include "model/published_presets.h"

namespace fathom {
namespace {

struct DenseDims {
  int64_t hidden, layers, heads, kv_heads, inner, vocab;
};

struct TokenIds {
  int32_t bos, eos;
};

constexpr TokenIds kLlmIds = {100000, 100001}, kCoderIds = {32013, 32014}, kV3Ids = {0, 1};
constexpr TokenIds kQwenIds = {151646, 151643}, kLlama3Ids = {128000, 128001};

ModelConfig dense(const DenseDims& d, const TokenIds& ids) {
  ModelConfig c;
  c.hidden_size = d.hidden;
  c.num_hidden_layers = d.layers;
  c.num_attention_heads = d.heads;
  c.num_key_value_heads = d.kv_heads;
  c.head_dim = d.hidden / d.heads;
  c.intermediate_size = d.inner;
  c.vocab_size = d.vocab;
  c.bos_token_id = ids.bos;
  c.eos_token_ids = {ids.eos};
  return c;
}

ModelConfig llm(const DenseDims& dims) { return dense(dims, kLlmIds); }

ModelConfig coder(const DenseDims& dims) {
  ModelConfig c = dense(dims, kCoderIds);
  c.max_position_embeddings = 16384;
  c.rope_theta = 100000;
  c.rope_scaling.kind = RopeKind::kLinear;
  c.rope_scaling.factor = 4;
  c.pad_token_id = 32014;
  return c;
}

ModelConfig distill_qwen(const DenseDims& dims, double theta, double eps) {
  ModelConfig c = dense(dims, kQwenIds);
  c.model_type = "qwen2";
  c.max_position_embeddings = 131072;
  c.rope_theta = theta;
  c.rms_norm_eps = eps;
  return c;
}

ModelConfig distill_llama(const DenseDims& dims) {
  ModelConfig c = dense(dims, kLlama3Ids);
  c.max_position_embeddings = 131072;
  c.rope_theta = 500000;
  c.rms_norm_eps = 1e-5;
  c.rope_scaling.kind = RopeKind::kLlama3;
  c.rope_scaling.factor = 8;
  c.rope_scaling.original_max_position_embeddings = 8192;
  return c;
}

struct ExpertDims {
  int64_t routed, shared, chosen, inner, first_k_dense_replace;
};

ModelConfig with_softmax_experts(ModelConfig c, const ExpertDims& d) {
  c.n_routed_experts = d.routed;
  c.n_shared_experts = d.shared;
  c.num_experts_per_tok = d.chosen;
  c.moe_intermediate_size = d.inner;
  c.first_k_dense_replace = d.first_k_dense_replace;
  c.norm_topk_prob = false;
  c.scoring_func = "softmax";
  c.topk_method = "greedy";
  c.aux_loss_alpha = 0.001;
  return c;
}

ModelConfig moe_16b() {
  ModelConfig c = with_softmax_experts(llm({2048, 28, 16, 16, 10944, 102400}), {64, 2, 6, 1408, 1});
  c.model_type = "deepseek";
  return c;
}

// The latent attention that all of V2, V3 and R1 share but for the compression of queries.
ModelConfig with_mla(ModelConfig c, const char* model_type, int64_t q_lora_rank, double mscale) {
  c.model_type = model_type;
  c.q_lora_rank = q_lora_rank;
  c.kv_lora_rank = 512;
  c.qk_nope_head_dim = c.v_head_dim = 128;
  c.qk_rope_head_dim = 64;
  c.max_position_embeddings = 163840;
  c.rope_scaling.kind = RopeKind::kYarn;
  c.rope_scaling.factor = 40;
  c.rope_scaling.original_max_position_embeddings = 4096;
  c.rope_scaling.mscale = c.rope_scaling.mscale_all_dim = mscale;
  return c;
}

ModelConfig v2_lite() {
  const ModelConfig base =
      with_softmax_experts(llm({2048, 27, 16, 16, 10944, 102400}), {64, 2, 6, 1408, 1});
  return with_mla(base, "deepseek_v2", 0, 0.707);
}

ModelConfig v2(double mscale) {
  ModelConfig c =
      with_softmax_experts(llm({5120, 60, 128, 128, 12288, 102400}), {160, 2, 6, 1536, 1});
  c.topk_method = "group_limited_greedy";
  c.n_group = 8;
  c.topk_group = 3;
  c.routed_scaling_factor = 16;
  return with_mla(c, "deepseek_v2", 1536, mscale);
}

ModelConfig v3() {
  ModelConfig c = with_softmax_experts(dense({7168, 61, 128, 128, 18432, 129280}, kV3Ids),
                                       {256, 1, 8, 2048, 3});
  c.scoring_func = "sigmoid";
  c.topk_method = "noaux_tc";
  c.n_group = 8;
  c.topk_group = 4;
  c.norm_topk_prob = true;
  c.routed_scaling_factor = 2.5;
  c.num_nextn_predict_layers = 1;
  return with_mla(c, "deepseek_v3", 1536, 1);
}

}  // namespace

std::vector<ModelPreset> published_presets() {
  return {
      {"llm-7b", "DeepSeek LLM 7B", llm({4096, 30, 32, 32, 11008, 102400})},
      {"llm-67b", "DeepSeek LLM 67B", llm({8192, 95, 64, 8, 22016, 102400})},
      {"math-7b", "DeepSeekMath 7B", llm({4096, 30, 32, 32, 11008, 102400})},
      {"coder-1.3b", "DeepSeek-Coder 1.3B", coder({2048, 24, 16, 16, 5504, 32256})},
      {"coder-5.7b-mqa", "DeepSeek-Coder 5.7B, one key head",
       coder({4096, 32, 32, 1, 11008, 32256})},
      {"coder-6.7b", "DeepSeek-Coder 6.7B", coder({4096, 32, 32, 32, 11008, 32256})},
      {"coder-33b", "DeepSeek-Coder 33B", coder({7168, 62, 56, 8, 19200, 32256})},
      {"coder-7b-v1.5", "DeepSeek-Coder 7B v1.5", llm({4096, 30, 32, 32, 11008, 102400})},
      {"moe-16b", "DeepSeekMoE 16B", moe_16b()},
      {"v2-lite", "DeepSeek-V2-Lite", v2_lite()},
      {"coder-v2-lite", "DeepSeek-Coder-V2-Lite", v2_lite()},
      {"v2", "DeepSeek-V2", v2(0.707)},
      {"coder-v2", "DeepSeek-Coder-V2", v2(1)},
      {"v2.5", "DeepSeek-V2.5", v2(1)},
      {"v3", "DeepSeek-V3 and V3.1", v3()},
      {"r1", "DeepSeek-R1", v3()},
      {"r1-distill-qwen-1.5b", "DeepSeek-R1-Distill-Qwen-1.5B",
       distill_qwen({1536, 28, 12, 2, 8960, 151936}, 1e4, 1e-6)},
      {"r1-distill-qwen-7b", "DeepSeek-R1-Distill-Qwen-7B",
       distill_qwen({3584, 28, 28, 4, 18944, 152064}, 1e4, 1e-6)},
      {"r1-distill-qwen-14b", "DeepSeek-R1-Distill-Qwen-14B",
       distill_qwen({5120, 48, 40, 8, 13824, 152064}, 1e6, 1e-5)},
      {"r1-distill-qwen-32b", "DeepSeek-R1-Distill-Qwen-32B",
       distill_qwen({5120, 64, 40, 8, 27648, 152064}, 1e6, 1e-5)},
      {"r1-distill-llama-8b", "DeepSeek-R1-Distill-Llama-8B",
       distill_llama({4096, 32, 32, 8, 14336, 128256})},
      {"r1-distill-llama-70b", "DeepSeek-R1-Distill-Llama-70B",
       distill_llama({8192, 80, 64, 8, 28672, 128256})},
  };
}

}  // namespace fathom
