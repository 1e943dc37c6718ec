#!/usr/bin/env python3
"""Makes tests/vectors: tiny random models and what the published implementation computes from them.

Each folder is a model folder (config.json, model.safetensors) with a vectors.safetensors:

  ids            [tokens]            i32  a random sequence
  logits         [tokens, vocab]     f32
  log_probs      [tokens - 1]        f32  of ids[i + 1] after ids[0..i]
  greedy         [64]                i32  the greedy continuation of ids

for cases with `mtp`:

  mtp_logits     [tokens - 1, vocab] f32  for ids[i + 2], from the state of i and the embedding of
                                          i + 1; the state is taken after the final norm
  mtp_logits_before_norm             f32  the same with the state before the final norm
  mtp_gradient.NAME  like NAME       f32  of the mean of their [tokens - 2] losses; of the weights
                                          that show it best, see MTP_GRADIENTS; not of FP8 cases

for cases with `fp8`, whose matrices are FP8 codes with scales:

  bf16.NAME      like NAME           f32  what codes and scales stand for, rounded to bf16, of two
                                          matrices with an edge block

and for cases with `trained`:

  gradient.NAME  like NAME           f32  of the mean of -log_probs
  train_ids      [rows, tokens]      i32  rows are separate sequences
  train_losses   [100]               f32  mean over all predicted tokens, before each AdamW step
  train_losses_double [100]          f32  the same computed in f64: how far rounding carries a run
  train_norms    [100]               f32  norm of all gradients, before clipping

Optimizer: AdamW, lr 1e-3, betas 0.9 and 0.95, eps 1e-8, decay 0.1 on weights of two or more
dimensions, gradient norm clipped to 1.0; the same batch at each step.

The cases marked `plain` are computed in double precision by plain.py, all others by the library.

A seed is taken only if no greedy token and no choice of experts hangs on a rounding error, so that
another correct implementation must agree exactly. Every f32 result is checked against f64 first.
"""

import argparse
import hashlib
import json
import pathlib
import platform
import sys

import numpy
import safetensors
import torch
import transformers
from safetensors.torch import save_file

import fp8
import plain
import published
from cases import CASES, VOCAB

GREEDY_TOKENS = 64
STEPS = 100
MIN_GREEDY_MARGIN = 1e-3  # first minus second logit, relative to the largest logit of the case
MIN_ROUTE_MARGIN = 1e-4  # last chosen minus first not chosen affinity
MAX_ROUNDING = 1e-5  # f32 against f64, relative to the largest value
MAX_LOSS_ROUNDING = 2e-5  # the same for each of the 100 losses
MTP_GRADIENTS = ("model.layers.2.", "model.layers.1.self_attn.", "model.embed_tokens.", "lm_head.")
BF16 = ("model.layers.1.mlp.shared_experts.gate_proj.weight",
        "model.layers.1.mlp.shared_experts.down_proj.weight")
VECTORS = pathlib.Path(__file__).resolve().parent.parent / "vectors"
MIN_DIFFERENCE = 1e-2  # of logits computed with a known fault, relative to the largest
ORIGIN = "transformers, eager attention and experts, CPU, f32"
PLAIN_ORIGIN = "plain.py, f64"


def relative_error(got, expected):
    return float((got.double() - expected.double()).abs().max() / expected.double().abs().max())


class RouteMargin:
    """Watches the routers of a model for the closest call between a chosen and another expert."""

    def __init__(self, config, *models):
        self.smallest = float("inf")
        self.config = config
        for model in models:
            for module in model.modules():
                if type(module).__name__.endswith("TopkRouter"):
                    module.register_forward_hook(self._watch)

    def _watch(self, router, _inputs, outputs):
        logits = outputs[0].detach().double()  # [tokens, experts]
        softmax = self.config["scoring_func"] == "softmax"
        affinity = logits.softmax(-1) if softmax else logits.sigmoid()
        self.rank(affinity + getattr(router, "e_score_correction_bias", 0.0))

    def rank(self, affinity):
        """Notes the closest call; affinity [tokens, experts], with the correction bias."""
        groups, kept = self.config.get("n_group", 1), self.config.get("topk_group", 1)
        if kept < groups:
            grouped = affinity.view(affinity.shape[0], groups, -1)
            # affinities that speak for a group
            best = 1 if self.config["scoring_func"] == "softmax" else 2
            score = grouped.topk(best, -1).values.sum(-1).sort(-1, descending=True)
            self._note(score.values[:, kept - 1] - score.values[:, kept])
            mask = torch.zeros_like(score.values).scatter_(1, score.indices[:, :kept], 1.0)
            affinity = grouped.masked_fill(mask[..., None] == 0, -1e9).flatten(1)
        ranked = affinity.sort(-1, descending=True).values
        chosen = self.config["num_experts_per_tok"]
        self._note(ranked[:, chosen - 1] - ranked[:, chosen])

    def _note(self, margins):
        self.smallest = min(self.smallest, float(margins.min()))


def random_weight(name, shape, generator, dtype):
    """Random values of ordinary size, each exact in `dtype`; norms differ from 1 to be seen."""
    noise = torch.randn(shape, generator=generator)
    if "norm" in name:
        value = 1.0 + 0.2 * noise
    elif name.endswith("bias"):
        value = 0.2 * noise
    elif "embed_tokens" in name:
        value = noise
    else:
        value = noise * (1.5 / shape[-1] ** 0.5)
    return value.to(dtype)


def fill_weights(module, generator, correction_bias, dtype):
    with torch.no_grad():
        for name, weight in module.named_parameters():
            weight.copy_(random_weight(name, weight.shape, generator, dtype))
        for name, buffer in module.named_buffers():
            if name.endswith("e_score_correction_bias"):
                buffer.copy_(correction_bias * torch.rand(buffer.shape, generator=generator))


def library_weights(case, generator, folder, dtype):
    config = published.load_config(folder)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    fill_weights(model, generator, case.correction_bias, dtype)
    mtp = published.new_mtp(model) if case.mtp else None
    if mtp is not None:
        fill_weights(mtp.layers, generator, case.correction_bias, dtype)
    weights = published.published_weights(model, mtp)
    return {
        name: weight if name.endswith("e_score_correction_bias") else weight.to(dtype)
        for name, weight in weights.items()
    }


def write_model(case, seed, folder):
    """Writes a random model folder and returns the ids to be asked of it."""
    generator = torch.Generator().manual_seed(seed)
    dtype = torch.float32 if case.trained else torch.bfloat16
    published.write_folder(folder, case.config | {"torch_dtype": str(dtype)[6:]}, {})
    if case.config["model_type"] == "deepseek":
        shapes = plain.moe_16b_shapes(case.config)
        weights = {name: random_weight(name, shape, generator, dtype)
                   for name, shape in shapes.items()}
    else:
        weights = library_weights(case, generator, folder, dtype)
    config = case.config | {"torch_dtype": str(dtype)[6:]}
    if case.fp8:
        config["quantization_config"] = fp8.quantization_config(case.fp8)
        weights = fp8.quantise_weights(weights, case.fp8)
    published.write_folder(folder, config, weights)
    return torch.randint(2, VOCAB, (case.tokens,), generator=generator)


def mean_loss(model, ids):
    """Mean cross-entropy of each next token; ids [rows, tokens]."""
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


@torch.no_grad()
def greedy(model, ids):
    """The greedy continuation without a cache, checked against generate(), and its margin."""
    sequence, margin = ids, float("inf")
    for _ in range(GREEDY_TOKENS):
        logits = model(input_ids=sequence[None], use_cache=False).logits[0, -1]
        first, second = logits.topk(2).values
        margin = min(margin, float((first - second) / logits.abs().max()))
        sequence = torch.cat([sequence, logits.argmax()[None]])
    if isinstance(model, plain.PlainModel):
        return sequence[ids.numel():], margin
    cached = model.generate(ids[None], max_new_tokens=GREEDY_TOKENS, do_sample=False)[0]
    if not torch.equal(cached, sequence):
        margin = 0.0
    return sequence[ids.numel():], margin


def optimizer_for(model):
    matrices = [weight for weight in model.parameters() if weight.ndim >= 2]
    vectors = [weight for weight in model.parameters() if weight.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": 0.1},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), eps=1e-8, foreach=False)


def train(model, ids):
    """Losses and gradient norms of 100 steps on one batch; changes the model."""
    optimizer = optimizer_for(model)
    losses, norms = [], []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = mean_loss(model, ids)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        norms.append(norm.item())
    return torch.tensor(losses), torch.tensor(norms)


def forward_vectors(model, mtp, ids):
    logits = model(input_ids=ids[None], use_cache=False).logits[0]
    log_probs = logits.log_softmax(-1)[:-1].gather(1, ids[1:, None])[:, 0]
    vectors = {"logits": logits, "log_probs": log_probs}
    if mtp is not None:
        vectors["mtp_logits"] = published.mtp_logits(model, mtp, ids)
        vectors["mtp_logits_before_norm"] = published.mtp_logits(model, mtp, ids, before_norm=True)
    return vectors


def gradient_vectors(model, ids):
    model.zero_grad()
    mean_loss(model, ids[None]).backward()
    gradients = published.published_gradients(model)
    return {f"gradient.{name}": gradient for name, gradient in gradients.items()}


def mtp_gradient_vectors(model, mtp, ids):
    model.zero_grad()
    mtp.zero_grad()
    logits = published.mtp_logits(model, mtp, ids)
    torch.nn.functional.cross_entropy(logits[:-1], ids[2:]).backward()
    gradients = published.published_gradients(model, mtp)
    return {f"mtp_gradient.{name}": gradient for name, gradient in gradients.items()
            if name.startswith(MTP_GRADIENTS)}


def model_vectors(case, model, mtp, ids):
    """All that a model says of `ids`, in the precision of the model."""
    with torch.no_grad():
        vectors = forward_vectors(model, mtp, ids)
    if case.trained:
        vectors |= gradient_vectors(model, ids)
    if case.mtp and not case.fp8:
        vectors |= mtp_gradient_vectors(model, mtp, ids)
    return vectors


def rounding_error(single, double):
    """The largest difference of any tensor, relative to that tensor's largest value."""
    return max((relative_error(single[name], expected) for name, expected in double.items()
                if expected.abs().max() > 0), default=0.0)


def load_model(case, folder):
    return plain.PlainModel(folder).float() if case.plain else published.load_model(folder)


def training_vectors(case, folder, seed):
    """A run in f32, and how far its losses are from those of the same run in f64."""
    generator = torch.Generator().manual_seed(1000 + seed)
    ids = torch.randint(2, VOCAB, (4, 32), generator=generator)
    losses, norms = train(load_model(case, folder), ids)
    model = load_model(case, folder)
    with published.double_precision(model):
        double, _ = train(model, ids)
    error = float(((losses - double).abs() / double).max())
    run = {"train_ids": ids, "train_losses": losses, "train_losses_double": double,
           "train_norms": norms}
    return run, error


@torch.no_grad()
def fault_difference(fault, folder, ids, logits):
    """How far a known fault would move the logits: what the case must tell apart."""
    model = plain.PlainModel(folder)
    setattr(model, *fault)
    return relative_error(model(input_ids=ids[None]).logits[0], logits)


def try_seed(case, seed, folder):
    """Vectors and measured margins, or None and the reason why this seed is unfit."""
    ids = write_model(case, seed, folder)
    model = load_model(case, folder)
    mtp = published.load_mtp(model) if case.mtp else None
    route = RouteMargin(case.config, model, *([mtp] if case.mtp else []))
    if case.plain:
        model.route_watch = route.rank
    vectors = model_vectors(case, model, mtp, ids)
    tokens, margin = greedy(model, ids)
    if margin < MIN_GREEDY_MARGIN:
        return None, f"greedy margin {margin:.1e}"
    if route.smallest < MIN_ROUTE_MARGIN:
        return None, f"route margin {route.smallest:.1e}"
    with published.double_precision(model, mtp):
        precise = model_vectors(case, model, mtp, ids)
    rounding = rounding_error(vectors, precise)
    if rounding > MAX_ROUNDING:
        return None, f"f32 and f64 part by {rounding:.1e}"
    facts = {"seed": seed, "greedy_margin": margin, "rounding": rounding}
    if case.plain:
        vectors = precise
    if case.fault is not None:
        facts["fault_differs"] = fault_difference(case.fault, folder, ids, precise["logits"])
        if facts["fault_differs"] < MIN_DIFFERENCE:
            return None, f"the fault shows by {facts['fault_differs']:.1e} only"
    if "n_routed_experts" in case.config:
        facts["route_margin"] = route.smallest
    if case.trained:
        training, facts["train_rounding"] = training_vectors(case, folder, seed)
        if facts["train_rounding"] > MAX_LOSS_ROUNDING:
            return None, f"training in f32 and f64 parts by {facts['train_rounding']:.1e}"
        vectors |= training
    if case.fp8:
        vectors |= bf16_vectors(folder)
    return vectors | {"ids": ids, "greedy": tokens}, facts


def bf16_vectors(folder):
    weights = fp8.read_weights(folder)
    return {f"bf16.{name}": weights[name].bfloat16() for name in BF16}


def origin_of(case):
    return PLAIN_ORIGIN if case.plain else ORIGIN


def make_case(case, root):
    folder = root / case.name
    for seed in range(1, 200):
        vectors, facts = try_seed(case, seed, folder)
        if vectors is not None:
            break
        print(f"{case.name}: seed {seed} passed over: {facts}", file=sys.stderr)
    else:
        raise SystemExit(f"{case.name}: no seed below 200 is safe from rounding")
    as_stored = {
        name: tensor.to(torch.float32 if tensor.is_floating_point() else torch.int32).contiguous()
        for name, tensor in vectors.items()
    }
    save_file(as_stored, folder / "vectors.safetensors", metadata={"origin": origin_of(case)})
    facts = {name: float(f"{fact:.2g}") if isinstance(fact, float) else fact
             for name, fact in facts.items()}
    print(f"{case.name}: {facts}")
    files = {path.name: sha256(path) for path in sorted(folder.iterdir())}
    origin = {"origin": PLAIN_ORIGIN} if case.plain else {}
    return {"what": case.what} | origin | facts | {"files": files}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def versions():
    packages = {"torch": torch, "transformers": transformers, "safetensors": safetensors,
                "numpy": numpy}
    result = {name: package.__version__ for name, package in packages.items()}
    return result | {"python": platform.python_version()}


def make(names, root):
    root.mkdir(parents=True, exist_ok=True)
    manifest_path = root / "MANIFEST.json"
    old = json.loads(manifest_path.read_text())["cases"] if manifest_path.exists() else {}
    made = {case.name: make_case(case, root) for case in CASES if case.name in names}
    manifest = {
        "origin": ORIGIN,
        "versions": versions(),
        "command": "tests/reference/make_vectors.py",
        "cases": {case.name: (old | made)[case.name] for case in CASES if case.name in old | made},
    }
    manifest_path.write_text(json.dumps(manifest, indent=1) + "\n")


@torch.no_grad()
def check_plainly(case, folder, ids, stored):
    """Holds the library's answers against the second implementation."""
    model = plain.PlainModel(folder)
    got = {"logits": model(input_ids=ids[None]).logits[0]}
    if case.mtp:
        got["mtp_logits"] = model.mtp_logits(ids)
        got["mtp_logits_before_norm"] = model.mtp_logits(ids, before_norm=True)
    return [f"{case.name}: {name} of plain.py differs by {relative_error(tensor, stored[name]):.1e}"
            for name, tensor in got.items()
            if relative_error(tensor, stored[name]) > MAX_ROUNDING]


def check_case(case, entry, root):
    """Compares one folder with its hashes and with the results of this machine."""
    folder, faults = root / case.name, []
    for name, expected in entry["files"].items():
        if sha256(folder / name) != expected:
            faults.append(f"{case.name}/{name}: not the file that MANIFEST.json describes")
    stored = published.read_tensors(folder / "vectors.safetensors")
    ids = stored["ids"].long()
    faults += check_plainly(case, folder, ids, stored)
    model = load_model(case, folder)
    mtp = published.load_mtp(model) if case.mtp else None
    for name, tensor in model_vectors(case, model, mtp, ids).items():
        error = rounding_error({name: tensor}, {name: stored[name]})
        if error > MAX_ROUNDING:
            faults.append(f"{case.name}: {name} differs by {error:.1e}")
    if not torch.equal(greedy(model, ids)[0], stored["greedy"].long()):
        faults.append(f"{case.name}: greedy tokens differ")
    if case.trained:
        losses, _ = train(model, stored["train_ids"].long())
        if relative_error(losses, stored["train_losses"]) > MAX_LOSS_ROUNDING:
            faults.append(f"{case.name}: training losses differ")
    return faults


def check(names, root):
    manifest = json.loads((root / "MANIFEST.json").read_text())["cases"]
    faults = []
    for case in CASES:
        if case.name in names:
            found = check_case(case, manifest[case.name], root)
            print(f"{case.name}: {'differs' if found else 'as stored'}", flush=True)
            faults += found
    print("\n".join(faults), end="\n" if faults else "")
    differing = len({fault.split(":")[0].split("/")[0] for fault in faults})
    print(f"{len(names) - differing} passed, {differing} failed")
    return 1 if faults else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="cases; all if none is named")
    parser.add_argument("--out", type=pathlib.Path, default=VECTORS, help="default %(default)s")
    parser.add_argument("--check", action="store_true",
                        help="compare the stored vectors with this machine's instead of writing")
    arguments = parser.parse_args()
    known = [case.name for case in CASES]
    for name in arguments.names:
        if name not in known:
            parser.error(f"unknown case {name}; known: {', '.join(known)}")
    published.set_repeatable()
    names = arguments.names or known
    return check(names, arguments.out) if arguments.check else make(names, arguments.out)


if __name__ == "__main__":
    sys.exit(main())
