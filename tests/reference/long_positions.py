#!/usr/bin/env python3
"""Compares logits far into long contexts: Fathom against transformers, on tiny random models.

  long_positions.py --fathom build/fathom [NAME...] [--tokens 40064]

The shapes are those of `cases.py`; rotary settings and context lengths are the published ones, so
that positions cross the length of pre-training. Nothing is stored: each model is written to a
temporary folder, asked for the logits at the first positions, around position 100, across the
original length and at the end, and thrown away. The reference reads the prompt in pieces through its
cache. Exits 0 if all agree and 1 if something differs.
"""

import argparse
import pathlib
import sys
import tempfile

import torch
import transformers

import cases
import published
from compare import Differs, fathom
from make_vectors import fill_weights
from safetensors.torch import load_file

PIECE = 512  # tokens that the reference reads at once

V2_YARN = {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096, "beta_fast": 32,
           "beta_slow": 1, "mscale": 0.707, "mscale_all_dim": 0.707}
V3_YARN = V2_YARN | {"mscale": 1.0, "mscale_all_dim": 1.0}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 8192}
MLA = {"max_position_embeddings": 163840, "rope_theta": 10000.0, "qk_rope_head_dim": 64}
DENSE = {"hidden_size": 128, "num_attention_heads": 2, "head_dim": 64}

# name: (config, original length)
MODELS = {
    "llm": (cases._llama(**DENSE, num_key_value_heads=2, max_position_embeddings=4096), 2048),
    "coder": (cases._llama(**DENSE, num_key_value_heads=1, max_position_embeddings=16384,
                           rope_theta=100000.0, rope_scaling={"type": "linear", "factor": 4.0}),
              4096),
    "v2-lite": (cases._v2(**MLA, q_lora_rank=None, n_shared_experts=2, rope_scaling=V2_YARN), 4096),
    "v2": (cases._v2(**MLA, topk_method="group_limited_greedy", n_group=4, topk_group=2,
                     routed_scaling_factor=16.0, rope_scaling=V2_YARN), 4096),
    "v3": (cases._v3(**MLA, n_group=4, topk_group=2, routed_scaling_factor=2.5,
                     rope_scaling=V3_YARN), 4096),
    "r1-distill-qwen": (cases._qwen2(**DENSE, num_key_value_heads=1,
                                     max_position_embeddings=131072, rope_theta=1000000.0), 4096),
    "r1-distill-llama": (cases._llama(**DENSE, num_key_value_heads=1,
                                      max_position_embeddings=131072, rope_theta=500000.0,
                                      rope_scaling=LLAMA3), 8192),
}


def write_model(name, folder):
    config, _ = MODELS[name]
    published.write_folder(folder, config, {})
    model = transformers.AutoModelForCausalLM.from_config(
        published.load_config(folder), dtype=torch.float32)
    fill_weights(model, torch.Generator().manual_seed(1), 0.1, torch.float32)
    published.write_folder(folder, config, published.published_weights(model))


def windows(original, tokens):
    """Ranges of positions to compare."""
    found = [(0, 9), (96, 104), (tokens - 8, tokens)]
    if original + 4 < tokens - 8:
        found.insert(2, (original - 4, original + 4))
    return found


@torch.no_grad()
def reference_logits(model, ids, ranges):
    cache, rows = None, {}
    for begin in range(0, ids.numel(), PIECE):
        piece = ids[None, begin:begin + PIECE]
        out = model(input_ids=piece, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        for first, last in ranges:
            for at in range(max(first, begin), min(last, begin + piece.shape[1])):
                rows[at] = out.logits[0, at - begin]
    return rows


def compare(name, options, folder):
    config, original = MODELS[name]
    write_model(name, folder)
    tokens = min(options.tokens, config["max_position_embeddings"])
    generator = torch.Generator().manual_seed(2)
    ids = torch.randint(2, cases.VOCAB, (tokens,), generator=generator)
    (folder / "ids.json").write_text(str(ids.tolist()))
    ranges = windows(original, tokens)
    expected = reference_logits(published.load_model(folder), ids, ranges)
    largest = max(float(row.abs().max()) for row in expected.values())
    out = folder / "logits.safetensors"
    fathom(options.fathom, "score", folder, "--ids", folder / "ids.json", "--dtype", "f32",
           "--logits", out)
    got = load_file(out)["logits"]  # [tokens, vocab]
    report, worst = [], 0.0
    for first, last in ranges:
        error = max(float((got[at] - expected[at]).abs().max())
                    for at in range(first, last)) / largest
        report.append(f"{first}..{last - 1} {error:.1e}")
        worst = max(worst, error)
    text = f"{name}: {'; '.join(report)} of the largest logit {largest:.3g}"
    if not worst <= options.bar:
        raise Differs(text)
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(MODELS)}; default: all")
    parser.add_argument("--fathom", type=pathlib.Path, required=True, help="the program")
    parser.add_argument("--tokens", type=int, default=40064, help="longest prompt; default 40064")
    parser.add_argument("--bar", type=float, default=1e-4,
                        help="error allowed, relative to the largest logit; default %(default)s")
    options = parser.parse_args()
    published.set_repeatable(threads=2)
    failed = 0
    for name in options.names or MODELS:
        with tempfile.TemporaryDirectory() as folder:
            try:
                print(compare(name, options, pathlib.Path(folder)), flush=True)
            except Differs as difference:
                failed += 1
                print("FAILED", difference, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
