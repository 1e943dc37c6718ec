"""A second implementation of the family's decoders: the equations in double precision, one line each.

For what the library lacks (DeepSeekMoE 16B) or is known to do otherwise (V3 gates whose choices are
negative: groups that were not chosen are out, not zero), and to hold the library's own answers
against. Gradients come from autograd. No caches, no batches, no fast paths.

Rotary frequencies and angles are rounded to f32 as in every published implementation.
"""

import json
import math
from types import SimpleNamespace

import torch

import fp8

LATENT_NORM_EPS = 1e-6  # of q_a_layernorm and kv_a_layernorm, whatever rms_norm_eps says


def rms_norm(x, weight, eps):
    return weight * x * torch.rsqrt((x * x).mean(-1, keepdim=True) + eps)


def magnitude(factor, mscale):
    return 1.0 if factor <= 1 else 0.1 * mscale * math.log(factor) + 1.0


def scaling_of(config):
    """rope_scaling with its kind, or None for plain positions."""
    scaling = config.get("rope_scaling")
    if not scaling:
        return None
    return scaling | {"kind": scaling.get("rope_type", scaling.get("type"))}


def yarn_frequencies(plain, scaling, theta, dim):
    def pair(turns):
        length = scaling["original_max_position_embeddings"]
        return dim * math.log(length / (2 * math.pi * turns)) / (2 * math.log(theta))

    low = max(math.floor(pair(scaling.get("beta_fast", 32))), 0)
    high = min(math.ceil(pair(scaling.get("beta_slow", 1))), dim - 1)
    high += 0.001 if low == high else 0
    ramp = ((torch.arange(dim // 2, dtype=torch.float32) - low) / (high - low)).clamp(0, 1)
    return plain / scaling["factor"] * ramp + plain * (1 - ramp)


def llama3_frequencies(plain, scaling):
    wavelength = 2 * math.pi / plain
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    length = scaling["original_max_position_embeddings"]
    kept = ((length / wavelength - low) / (high - low)).clamp(0, 1)
    return (1 - kept) * plain / scaling["factor"] + kept * plain


def frequencies(config, dim):
    theta, scaling = config["rope_theta"], scaling_of(config)
    plain = 1.0 / (theta ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim))
    if scaling is None:
        return plain
    if scaling["kind"] == "linear":
        return plain / scaling["factor"]
    if scaling["kind"] == "llama3":
        return llama3_frequencies(plain, scaling)
    return yarn_frequencies(plain, scaling, theta, dim)


def angles(config, dim, tokens, dtype):
    """cos and sin, [tokens, dim / 2]."""
    scaling = scaling_of(config) or {"kind": "default"}
    factor = 1.0
    if scaling["kind"] == "yarn":
        factor = magnitude(scaling["factor"], scaling.get("mscale", 1.0))
        factor /= magnitude(scaling["factor"], scaling.get("mscale_all_dim", 0.0))
    turned = torch.arange(tokens, dtype=torch.float32)[:, None] * frequencies(config, dim)
    return factor * turned.to(dtype).cos(), factor * turned.to(dtype).sin()


def rotate_halves(x, cos, sin):
    """x [tokens, heads, dim]: pairs (i, i + dim / 2)."""
    a, b = x.chunk(2, -1)
    c, s = cos[:, None], sin[:, None]
    return torch.cat([a * c - b * s, b * c + a * s], -1)


def rotate_pairs(x, cos, sin):
    """x [tokens, heads, dim]: pairs (2i, 2i + 1)."""
    a, b = x[..., 0::2], x[..., 1::2]
    c, s = cos[:, None], sin[:, None]
    return torch.stack([a * c - b * s, a * s + b * c], -1).flatten(-2)


def attend(q, k, v, scale):
    """Causal; q, k [tokens, heads, width], v [tokens, heads, v width] -> [tokens, heads * v width]."""
    scores = torch.einsum("ihd,jhd->hij", q, k) * scale
    mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    probs = scores.masked_fill(~mask, -math.inf).softmax(-1)
    return torch.einsum("hij,jhd->ihd", probs, v).flatten(1)


def choose(scores, bias, config, outside):
    """Indices of the chosen experts, [tokens, k]; `outside`: what an expert of another group counts."""
    choice = scores if bias is None else scores + bias
    method, groups = config.get("topk_method", "greedy"), config.get("n_group") or 1
    if method != "greedy" and groups > 1:
        grouped = choice.unflatten(1, (groups, -1))
        best = 2 if method == "noaux_tc" else 1
        kept = grouped.topk(best, -1).values.sum(-1).topk(config["topk_group"], -1).indices
        mask = torch.zeros_like(grouped[..., 0]).scatter(1, kept, 1).bool()
        choice = grouped.masked_fill(~mask[..., None], outside).flatten(1)
    return choice.topk(config["num_experts_per_tok"], -1).indices


def moe_16b_shapes(config):
    """The tensors of a DeepSeekMoE 16B, by their published names."""
    hidden, vocab = config["hidden_size"], config["vocab_size"]

    def swiglu(name, inner):
        return {f"{name}.gate_proj.weight": (inner, hidden),
                f"{name}.up_proj.weight": (inner, hidden),
                f"{name}.down_proj.weight": (hidden, inner)}

    shapes = {"model.embed_tokens.weight": (vocab, hidden), "model.norm.weight": (hidden,),
              "lm_head.weight": (vocab, hidden)}
    for index in range(config["num_hidden_layers"]):
        name = f"model.layers.{index}"
        shapes |= {f"{name}.{norm}.weight": (hidden,)
                   for norm in ("input_layernorm", "post_attention_layernorm")}
        shapes |= {f"{name}.self_attn.{part}_proj.weight": (hidden, hidden) for part in "qkvo"}
        if index < config["first_k_dense_replace"]:
            shapes |= swiglu(f"{name}.mlp", config["intermediate_size"])
            continue
        inner, experts = config["moe_intermediate_size"], config["n_routed_experts"]
        shapes[f"{name}.mlp.gate.weight"] = (experts, hidden)
        shapes |= swiglu(f"{name}.mlp.shared_experts", config["n_shared_experts"] * inner)
        for expert in range(experts):
            shapes |= swiglu(f"{name}.mlp.experts.{expert}", inner)
    return shapes


class PlainModel(torch.nn.Module):
    """A model folder. Parameters have their published names, with '/' for '.'."""

    def __init__(self, folder):
        super().__init__()
        self.settings = json.loads((folder / "config.json").read_text())
        for name, tensor in fp8.read_weights(folder).items():
            trained = not name.endswith("e_score_correction_bias")
            parameter = torch.nn.Parameter(tensor.double(), requires_grad=trained)
            self.register_parameter(name.replace(".", "/"), parameter)
        # Faults of other programs, to see that the vectors tell them.
        self.outside = -math.inf
        self.ignores_norm_topk_prob = False
        self.route_watch = None  # called with the gate's scores, bias included

    def weight(self, name):
        return self.get_parameter(name.replace(".", "/"))

    def has(self, name):
        return name.replace(".", "/") in self._parameters

    def linear(self, x, name):
        y = x @ self.weight(f"{name}.weight").T
        return y + self.weight(f"{name}.bias") if self.has(f"{name}.bias") else y

    def norm(self, x, name, eps=None):
        return rms_norm(x, self.weight(f"{name}.weight"), eps or self.settings["rms_norm_eps"])

    def swiglu(self, x, name):
        gate = self.linear(x, f"{name}.gate_proj")
        return self.linear(torch.nn.functional.silu(gate) * self.linear(x, f"{name}.up_proj"),
                           f"{name}.down_proj")

    def heads_attention(self, x, name):
        c = self.settings
        heads, kv_heads = c["num_attention_heads"], c["num_key_value_heads"]
        width = c.get("head_dim", c["hidden_size"] // heads)
        cos, sin = angles(c, width, x.shape[0], x.dtype)
        q = rotate_halves(self.linear(x, f"{name}.q_proj").unflatten(1, (heads, width)), cos, sin)
        k = rotate_halves(self.linear(x, f"{name}.k_proj").unflatten(1, (kv_heads, width)), cos, sin)
        v = self.linear(x, f"{name}.v_proj").unflatten(1, (kv_heads, width))
        k, v = (each.repeat_interleave(heads // kv_heads, 1) for each in (k, v))
        return self.linear(attend(q, k, v, width ** -0.5), f"{name}.o_proj")

    def latent_attention(self, x, name):
        c = self.settings
        heads, nope, rope = c["num_attention_heads"], c["qk_nope_head_dim"], c["qk_rope_head_dim"]
        cos, sin = angles(c, rope, x.shape[0], x.dtype)
        if c["q_lora_rank"]:
            q = self.norm(self.linear(x, f"{name}.q_a_proj"), f"{name}.q_a_layernorm",
                          LATENT_NORM_EPS)
            q = self.linear(q, f"{name}.q_b_proj")
        else:
            q = self.linear(x, f"{name}.q_proj")
        q_nope, q_rope = q.unflatten(1, (heads, nope + rope)).split([nope, rope], -1)
        latent, k_rope = self.linear(x, f"{name}.kv_a_proj_with_mqa").split(
            [c["kv_lora_rank"], rope], -1)
        latent = self.norm(latent, f"{name}.kv_a_layernorm", LATENT_NORM_EPS)
        kv = self.linear(latent, f"{name}.kv_b_proj").unflatten(1, (heads, -1))
        k_nope, v = kv.split([nope, c["v_head_dim"]], -1)
        k_rope = rotate_pairs(k_rope[:, None], cos, sin).expand(-1, heads, -1)
        q = torch.cat([q_nope, rotate_pairs(q_rope, cos, sin)], -1)
        scale = (nope + rope) ** -0.5
        scaling = scaling_of(c)
        if scaling and scaling.get("mscale_all_dim"):
            scale *= magnitude(scaling["factor"], scaling["mscale_all_dim"]) ** 2
        return self.linear(attend(q, torch.cat([k_nope, k_rope], -1), v, scale), f"{name}.o_proj")

    def experts(self, x, name):
        c = self.settings
        logits = self.linear(x, f"{name}.gate")
        softmax = c.get("scoring_func", "softmax") == "softmax"
        scores = logits.softmax(-1) if softmax else logits.sigmoid()
        bias_name = f"{name}.gate.e_score_correction_bias"
        bias = self.weight(bias_name) if self.has(bias_name) else None
        if self.route_watch is not None:
            self.route_watch(scores.detach() if bias is None else (scores + bias).detach())
        chosen = choose(scores.detach(), bias, c, self.outside)
        weights = scores.gather(1, chosen)
        normalise = c["norm_topk_prob"] and c["num_experts_per_tok"] > 1
        if normalise and not self.ignores_norm_topk_prob:
            weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
        weights = weights * c.get("routed_scaling_factor", 1.0)
        rows = [sum(w * self.swiglu(row, f"{name}.experts.{e}") for w, e in zip(ws, es))
                for row, ws, es in zip(x, weights, chosen.tolist())]
        return torch.stack(rows) + self.swiglu(x, f"{name}.shared_experts")

    def layer(self, x, index):
        name = f"model.layers.{index}"
        attention = self.latent_attention if "kv_lora_rank" in self.settings else self.heads_attention
        x = x + attention(self.norm(x, f"{name}.input_layernorm"), f"{name}.self_attn")
        normed = self.norm(x, f"{name}.post_attention_layernorm")
        feed_forward = self.experts if self.has(f"{name}.mlp.gate.weight") else self.swiglu
        return x + feed_forward(normed, f"{name}.mlp")

    def states_before_norm(self, ids):
        """Hidden states before the final norm, [tokens, hidden_size]."""
        x = self.weight("model.embed_tokens.weight")[ids]
        for index in range(self.settings["num_hidden_layers"]):
            x = self.layer(x, index)
        return x

    def states(self, ids):
        return self.norm(self.states_before_norm(ids), "model.norm")

    def head(self, states):
        tied = self.settings.get("tie_word_embeddings", False)
        return states @ self.weight("model.embed_tokens.weight" if tied else "lm_head.weight").T

    def mtp_logits(self, ids, before_norm=False):
        """For ids[i + 2], from the state of i, after or before the final norm, and the embedding of
        i + 1; [tokens - 1, vocab]."""
        index = self.settings["num_hidden_layers"]
        name = f"model.layers.{index}"
        embedding = self.weight("model.embed_tokens.weight")[ids[1:]]
        states = self.states_before_norm(ids) if before_norm else self.states(ids)
        joined = torch.cat([self.norm(embedding, f"{name}.enorm"),
                            self.norm(states[:-1], f"{name}.hnorm")], -1)
        x = self.layer(self.linear(joined, f"{name}.eh_proj"), index)
        return self.head(self.norm(x, f"{name}.shared_head.norm"))

    def forward(self, input_ids, use_cache=False):
        """As the library's models are called: rows of ids -> .logits [rows, tokens, vocab]."""
        assert not use_cache
        return SimpleNamespace(logits=torch.stack([self.head(self.states(ids)) for ids in input_ids]))

    def published_gradients(self):
        return {name.replace("/", "."): torch.zeros_like(weight) if weight.grad is None else
                weight.grad.clone() for name, weight in self.named_parameters()
                if weight.requires_grad}
