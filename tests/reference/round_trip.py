#!/usr/bin/env python3
"""Models that Fathom trained, through transformers and back: the logits keep every bit.

  round_trip.py --fathom build/fathom [NAME...]

Each shape is trained for a few steps on sums, read by transformers, held against Fathom's own
logits there, and written again: as one file and cut into shards, in f32 and in bf16. Fathom must
read each folder and give the bits that it gives on the folder it wrote, in bf16 those of the same
weights rounded. transformers drops multi-token layers. Last, weights pickled as torch pickles them
are refused by Fathom with a command, which is run, and its result read. Exits 0 if all agree.
"""

import argparse
import json
import pathlib
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

import cases
import published
from compare import Differs, fathom

STEPS = 20
WINDOW = 64  # tokens
SHARD = "20KB"
BAR = 1e-4  # of transformers' logits, relative to the largest
KEPT = ("e_score_correction_bias", ".mlp.gate.weight")  # f32 in what transformers writes as bf16

# name: preset of `fathom init --list`, or a config
MODELS = {
    "llama": "llm-nano",
    "llama_tied": cases._llama(num_key_value_heads=2, tie_word_embeddings=True,
                               rope_scaling=cases.LLAMA3),
    "qwen2": cases._qwen2(num_key_value_heads=2),
    "deepseek_v2": cases._v2(topk_method="group_limited_greedy", n_group=4, topk_group=2,
                             n_shared_experts=2, routed_scaling_factor=16.0,
                             rope_scaling=cases.YARN | cases.V2_MSCALE),
    "deepseek_v3": "v3-nano",
    "deepseek_v3_groups": cases._v3(n_group=4, topk_group=2, routed_scaling_factor=2.5,
                                    rope_scaling=cases.YARN, num_nextn_predict_layers=1),
}


def write_sums(path):
    random.seed(1)
    pairs = ((random.randrange(100), random.randrange(100)) for _ in range(2000))
    path.write_text("".join(f"{a}+{b}={a + b}\n" for a, b in pairs))


def trained_folder(program, model, scratch):
    """The model folder of a short run."""
    shape = ["--preset", model]
    if isinstance(model, dict):
        (scratch / "shape.json").write_text(json.dumps(model))
        shape = ["--model", scratch / "shape.json"]
    write_sums(scratch / "sums.txt")
    fathom(program, "train", *shape, "--data", scratch / "sums.txt", "--out", scratch / "run",
           "--steps", STEPS, "--row-tokens", WINDOW, "--eval-every", 0, "--save-every", 0)
    return next((scratch / "run" / "checkpoints").iterdir())


def logits(program, folder, ids_file):
    """[tokens, vocab]"""
    out = ids_file.with_name("logits.safetensors")
    fathom(program, "score", folder, "--ids", ids_file, "--precision", "f32", "--logits", out)
    return load_file(out)["logits"].clone()  # load_file maps the file, which the next call rewrites


def rounded_copy(folder, to):
    """The same folder with its weights rounded to bf16."""
    shutil.copytree(folder, to)
    weights = {name: tensor if name.endswith(KEPT) else tensor.bfloat16()
               for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(weights, to / "model.safetensors", {"format": "pt"})
    return to


def check_equal(what, got, expected):
    if not torch.equal(got, expected):
        worst = float((got - expected).abs().max() / expected.abs().max())
        raise Differs(f"{what}: logits differ by {worst:.1e} of the largest")


def check_reference(folder, ids, expected):
    with torch.no_grad():
        got = published.load_model(folder)(input_ids=ids[None], use_cache=False).logits[0]
    worst = float((got - expected).abs().max() / expected.abs().max())
    if not worst <= BAR:
        raise Differs(f"transformers: logits differ by {worst:.1e} of the largest")
    return worst


def written_by_transformers(folder, dtype, shard, to):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    model.save_pretrained(to, max_shard_size=shard)
    files = len(list(to.glob("*.safetensors")))
    if (files > 1) != (shard == SHARD):
        raise Differs(f"transformers wrote {files} files with shards of {shard}")
    return to


def check_pickled(program, folder, ids_file, expected, to):
    """Two pickled files in place of one of safetensors; the advice of the refusal is followed."""
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("optimizer*"))
    weights = list(load_file(to / "model.safetensors").items())
    (to / "model.safetensors").unlink()
    for number, part in ((1, weights[::2]), (2, weights[1::2])):
        torch.save(dict(part), to / f"pytorch_model-0000{number}-of-00002.bin")
    refused = subprocess.run([program, "score", to, "--ids", ids_file], capture_output=True,
                             text=True, check=False)
    advice = re.search(r"python3 (-c .*)", refused.stderr)
    if refused.returncode != 3 or advice is None:
        raise Differs(f"pickled weights: exit {refused.returncode}, {refused.stderr.strip()}")
    subprocess.run([sys.executable, *shlex.split(advice[1])], check=True)
    check_equal("pickled weights", logits(program, to, ids_file), expected)


def round_trip(program, name, scratch):
    folder = trained_folder(program, MODELS[name], scratch)
    vocab = json.loads((folder / "config.json").read_text())["vocab_size"]
    ids = torch.randint(0, vocab, (WINDOW,), generator=torch.Generator().manual_seed(1))
    ids_file = scratch / "ids.json"
    ids_file.write_text(json.dumps(ids.tolist()))
    expected = logits(program, folder, ids_file)
    worst = check_reference(folder, ids, expected)
    rounded = logits(program, rounded_copy(folder, scratch / "rounded"), ids_file)
    for dtype, wanted in ((torch.float32, expected), (torch.bfloat16, rounded)):
        for shard in ("1GB", SHARD):
            what = f"{str(dtype)[6:]} in shards of {shard}"
            back = written_by_transformers(folder, dtype, shard, scratch / what)
            check_equal(what, logits(program, back, ids_file), wanted)
    check_pickled(program, folder, ids_file, expected, scratch / "pickled")
    return (f"{name}: transformers within {worst:.1e}, and the same bits back from it in f32 and "
            "bf16, from one file, from shards, and from pickled weights")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(MODELS)}; default: all")
    parser.add_argument("--fathom", type=pathlib.Path, required=True, help="the program")
    options = parser.parse_args()
    published.set_repeatable(threads=2)
    failed = 0
    for name in options.names or MODELS:
        with tempfile.TemporaryDirectory() as scratch:
            try:
                print(round_trip(options.fathom, name, pathlib.Path(scratch)), flush=True)
            except Differs as difference:
                failed += 1
                print(f"FAILED {name}: {difference}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
