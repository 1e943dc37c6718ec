"""The tiny models of tests/vectors: one published config.json each, with random weights.

A config holds the keys as the published checkpoints spell them (rope_theta and rope_scaling at the
top level), not as the installed transformers version would write them back.
"""

from dataclasses import dataclass

VOCAB = 64


@dataclass(frozen=True)
class Case:
    name: str
    what: str  # what this case covers that no other does
    config: dict  # the content of config.json
    tokens: int = 40  # length of `ids`
    trained: bool = False  # gradients and 100 optimizer steps too; weights in f32, else bf16
    correction_bias: float = 0.0  # e_score_correction_bias is uniform between 0 and this
    mtp: bool = False  # adds the multi-token prediction layer
    fault: tuple | None = None  # attribute of plain.PlainModel and value: what the case must show
    fp8: str = ""  # matrices are FP8 codes with such scales: "f32" or "ue8m0"
    plain: bool = False  # computed by plain.py: the library has no such model, or another rule


def _config(architecture, model_type, **keys):
    common = {
        "architectures": [architecture],
        "model_type": model_type,
        "vocab_size": VOCAB,
        "hidden_size": 32,
        "intermediate_size": 40,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "hidden_act": "silu",
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "rope_scaling": None,
        "tie_word_embeddings": False,
        "attention_bias": False,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "torch_dtype": "float32",
    }
    return common | keys


def _llama(**keys):
    return _config("LlamaForCausalLM", "llama", **keys)


def _qwen2(**keys):
    config = _config("Qwen2ForCausalLM", "qwen2", **keys)
    del config["attention_bias"]  # Qwen2 always has biases on q, k and v
    return config


def _mla(**keys):
    return {
        "q_lora_rank": 24,
        "kv_lora_rank": 16,
        "qk_nope_head_dim": 12,
        "qk_rope_head_dim": 8,
        "v_head_dim": 10,
        "moe_intermediate_size": 12,
        "n_routed_experts": 8,
        "n_shared_experts": 1,
        "num_experts_per_tok": 2,
        "first_k_dense_replace": 1,
        "moe_layer_freq": 1,
        "n_group": 1,
        "topk_group": 1,
        "norm_topk_prob": True,
        "routed_scaling_factor": 1.0,
        "rope_theta": 100.0,
    } | keys


def _v3(**keys):
    v3 = {"scoring_func": "sigmoid", "topk_method": "noaux_tc", "num_nextn_predict_layers": 0}
    return _config("DeepseekV3ForCausalLM", "deepseek_v3", **_mla(**(v3 | keys)))


YARN = {
    "type": "yarn",
    "factor": 4.0,
    "original_max_position_embeddings": 32,
    "beta_fast": 32,
    "beta_slow": 1,
    "mscale": 1.0,
    "mscale_all_dim": 1.0,
}
V2_MSCALE = {"mscale": 0.707, "mscale_all_dim": 0.707}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
LINEAR = {"type": "linear", "factor": 4.0}

def _v2(**keys):
    v2 = {"scoring_func": "softmax", "topk_method": "greedy", "norm_topk_prob": False}
    return _config("DeepseekV2ForCausalLM", "deepseek_v2", **_mla(**(v2 | keys)))


def _moe_16b(**keys):
    experts = {
        "moe_intermediate_size": 12,
        "n_routed_experts": 8,
        "n_shared_experts": 2,
        "num_experts_per_tok": 3,
        "first_k_dense_replace": 1,
        "moe_layer_freq": 1,
        "norm_topk_prob": False,
        "scoring_func": "softmax",
    }
    return _config("DeepseekForCausalLM", "deepseek", **(experts | keys))


TRAINED = [
    Case("llama_mha", "as many key heads as query heads", _llama(), trained=True),
    Case("llama_gqa", "two query heads to a key head", _llama(num_key_value_heads=2), trained=True),
    Case("llama_mqa", "one key head for all", _llama(num_key_value_heads=1), trained=True),
    Case("deepseek_v3_q_lora", "MLA with q_lora_rank; experts unscaled, correction bias zero",
         _v3(), trained=True),
    Case("deepseek_v3_q_full", "MLA without q_lora_rank; experts scaled by 2.5, correction bias",
         _v3(q_lora_rank=None, routed_scaling_factor=2.5), trained=True, correction_bias=0.1),
    Case("qwen2", "biases on q, k and v", _qwen2(num_key_value_heads=2), trained=True),
    Case("deepseek_v2_groups", "softmax affinities, group-limited choice, scaled by 16",
         _v2(topk_method="group_limited_greedy", n_group=4, topk_group=2,
             routed_scaling_factor=16.0), trained=True),
    Case("deepseek_moe_16b", "heads as in llama, experts as in V2-Lite", _moe_16b(), trained=True,
         plain=True),
]

FORWARD = [
    Case("llama_tied", "the embedding is the head", _llama(tie_word_embeddings=True)),
    Case("llama_linear", "positions divided by 4", _llama(rope_scaling=LINEAR)),
    Case("llama_llama3", "frequencies scaled as in Llama 3.1", _llama(rope_scaling=LLAMA3),
         tokens=72),
    Case("deepseek_v2_lite", "softmax affinities, greedy choice, two shared experts, YaRN",
         _v2(q_lora_rank=None, n_shared_experts=2, rope_scaling=YARN | V2_MSCALE), tokens=72),
    Case("deepseek_v2_normalised", "softmax affinities normalised over the chosen, then scaled",
         _v2(num_experts_per_tok=3, norm_topk_prob=True, routed_scaling_factor=2.5), plain=True,
         fault=("ignores_norm_topk_prob", True)),
    Case("deepseek_v3_groups", "sigmoid affinities, group-limited choice with correction bias",
         _v3(n_group=4, topk_group=2, routed_scaling_factor=2.5), correction_bias=0.1),
    Case("deepseek_v3_yarn", "MLA beyond the original positions",
         _v3(rope_scaling=YARN), tokens=72),
    Case("deepseek_v3_mscales", "cos and sin scaled too: mscale and mscale_all_dim differ",
         _v3(rope_scaling=YARN | {"mscale_all_dim": 0.5}), tokens=72),
    Case("deepseek_v3_negative", "negative choices: groups that were not chosen are out, not zero",
         _v3(n_group=4, topk_group=2, num_experts_per_tok=3, routed_scaling_factor=2.5),
         correction_bias=-1.5, fault=("outside", 0.0)),
    Case("deepseek_v3_mtp", "one multi-token prediction layer",
         _v3(num_nextn_predict_layers=1), mtp=True),
]

# Sizes above 128 that are no multiples of it: blocks of scales with edges, as the published
# kv_a_proj_with_mqa has, and heads of kv_b_proj that do not begin with a block.
_FP8 = {"hidden_size": 136, "intermediate_size": 132, "kv_lora_rank": 128, "qk_nope_head_dim": 24,
        "qk_rope_head_dim": 12, "v_head_dim": 20, "moe_intermediate_size": 16, "n_group": 4,
        "topk_group": 2, "routed_scaling_factor": 2.5, "rope_scaling": YARN}

FP8 = [
    Case("deepseek_v3_fp8", "FP8 with block scales, one multi-token prediction layer too",
         _v3(**_FP8, num_nextn_predict_layers=1), tokens=112, correction_bias=0.1, mtp=True,
         fp8="f32"),
    Case("deepseek_v3_fp8_ue8m0", "FP8 with scales that are powers of two",
         _v3(**_FP8), tokens=112, correction_bias=0.1, fp8="ue8m0"),
]

CASES = TRAINED + FORWARD + FP8
