#!/usr/bin/env python3
"""Compares Fathom with transformers on model folders: logits, greedy tokens, chat template.

  compare.py FOLDER... --fathom build/fathom [--ids IDS.json]
  compare.py FOLDER... --fathom build/fathom --checks template --messages MESSAGES.json

Fathom is asked with `score --logits`, `run` and `template`; transformers reads the same folders in
f32. Exits 0 if all agree and 1 if something differs.
"""

import argparse
import functools
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer

import published

GREEDY_TOKENS = 64
DEFAULT_TOKENS = 40


class Differs(Exception):
    """Fathom answered, and the answer is not the published one."""


def fathom(program, *arguments):
    """Runs Fathom and returns what it printed; a failure of the program is a difference."""
    command = [str(program), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise Differs(f"`{' '.join(command)}` exited {result.returncode}: {result.stderr.strip()}")
    return result.stdout


def compare_logits(options, folder, model, ids, ids_file):
    out = ids_file.parent / "logits.safetensors"
    fathom(options.fathom, "score", folder, "--ids", ids_file, "--dtype", "f32",
           "--logits", out)
    got = load_file(out)["logits"]  # [tokens, vocab]
    with torch.no_grad():
        expected = model(input_ids=ids[None], use_cache=False).logits[0]
    if got.dtype != torch.float32 or got.shape != expected.shape:
        raise Differs(f"logits are {got.dtype} {list(got.shape)}, expected f32 "
                      f"{list(expected.shape)}")
    error = (got - expected).abs()
    worst = int(error.nan_to_num(nan=float("inf")).argmax())
    token, entry = divmod(worst, expected.shape[1])
    relative = float(error[token, entry] / expected.abs().max())
    report = (f"logits: worst error {relative:.2e} of the largest logit {expected.abs().max():.4g} "
              f"(bar {options.bar:.0e}), at token {token} entry {entry}: "
              f"got {got[token, entry]:.8g}, expected {expected[token, entry]:.8g}")
    if not relative <= options.bar:
        raise Differs(report)
    return report


@torch.no_grad()
def compare_greedy(options, folder, model, ids, ids_file):
    text = fathom(options.fathom, "run", folder, "--ids", ids_file, "--temp", "0",
                  "-n", GREEDY_TOKENS, "--ignore-eos", "--output", "json")
    got = json.loads(text)["ids"]
    if len(got) != GREEDY_TOKENS:
        raise Differs(f"greedy: {len(got)} tokens, expected {GREEDY_TOKENS}")
    # Past the end token, as `--ignore-eos` goes: it may be chosen and ends nothing.
    model.generation_config.eos_token_id = None
    # Every id counts, also one that happens to be the padding: without a mask it would be left out.
    expected = model.generate(ids[None], attention_mask=torch.ones_like(ids[None]),
                              max_new_tokens=GREEDY_TOKENS, do_sample=False)[0]
    expected = expected[ids.numel():].tolist()
    if got == expected:
        return f"greedy: the same {GREEDY_TOKENS} tokens"
    place = next(i for i in range(GREEDY_TOKENS) if got[i] != expected[i])
    known = torch.tensor(ids.tolist() + expected[:place])
    logits = model(input_ids=known[None], use_cache=False).logits[0, -1]
    gap = float((logits[expected[place]] - logits[got[place]]) / logits.abs().max())
    report = (f"greedy: token {place} is {got[place]}, expected {expected[place]}, whose logit is "
              f"{gap:.1e} of the largest above it")
    if abs(gap) > options.bar:  # a negative gap: the reference was kept from its own largest logit
        raise Differs(report)
    return report + ": a tie within the bar, and nothing to compare after it"


def compare_template(options, folder):
    messages = json.loads(options.messages.read_text())
    tokenizer = AutoTokenizer.from_pretrained(folder)
    expected = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    expected_ids = tokenizer(expected, add_special_tokens=False)["input_ids"]
    text = fathom(options.fathom, "template", folder, "--messages", options.messages,
                  "--output", "json")
    got = json.loads(text)["ids"]
    if got != expected_ids:
        raise Differs(f"template: ids {got}, expected {expected_ids} for {expected!r}")
    return f"template: the same {len(got)} ids"


def ids_for(options, model):
    if options.ids is not None:
        return torch.tensor(json.loads(options.ids.read_text()))
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, model.config.vocab_size, (DEFAULT_TOKENS,), generator=generator)


def checks_for(options, folder, scratch):
    """The checks asked for, ready to be called; each returns a report or raises Differs."""
    checks = []
    if "logits" in options.checks or "greedy" in options.checks:
        model = published.load_model(folder)
        ids = ids_for(options, model)
        ids_file = scratch / "ids.json"
        ids_file.write_text(json.dumps(ids.tolist()))
        for name, check in (("logits", compare_logits), ("greedy", compare_greedy)):
            if name in options.checks:
                checks.append(functools.partial(check, options, folder, model, ids, ids_file))
    if "template" in options.checks:
        checks.append(functools.partial(compare_template, options, folder))
    return checks


def compare(options, folder):
    """Runs every check, also after one has failed; returns how many passed and failed."""
    print(folder)
    passed = failed = 0
    with tempfile.TemporaryDirectory() as scratch:
        for check in checks_for(options, folder, pathlib.Path(scratch)):
            try:
                print(" ", check(), flush=True)
                passed += 1
            except Differs as difference:
                failed += 1
                print("  FAILED", difference, flush=True)
    return passed, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=pathlib.Path, nargs="+", metavar="FOLDER",
                        help="model folder")
    parser.add_argument("--fathom", type=pathlib.Path, required=True, help="the program")
    parser.add_argument("--ids", type=pathlib.Path,
                        help=f"JSON array of token ids; default: {DEFAULT_TOKENS} random ones")
    parser.add_argument("--messages", type=pathlib.Path,
                        help="JSON array of chat messages, for the check `template`")
    parser.add_argument("--checks", nargs="+", choices=["logits", "greedy", "template"],
                        default=["logits", "greedy"], help="default: logits greedy")
    parser.add_argument("--bar", type=float, default=1e-4,
                        help="error allowed, relative to the largest logit; default %(default)s")
    options = parser.parse_args()
    if "template" in options.checks and options.messages is None:
        parser.error("the check `template` needs --messages")
    published.set_repeatable(threads=2)
    results = [compare(options, folder) for folder in options.folders]
    passed, failed = (sum(counts) for counts in zip(*results))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
