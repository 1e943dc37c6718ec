#!/usr/bin/env python3
"""PyTorch's speed on the shapes that Fathom's benchmarks use, in the best of its modes.

  speed.py [--models tiny_dense small_moe ...] [--repeats N] [--out FILE]

Each row is a process of its own with 2 threads: training steps (forward and backward, the optimizer
apart) and batched sampling with a cache. For a model with experts, attention and expert kernels are
chosen first in f32 without compilation; then precision and compilation are tried with that choice.
Prints JSON; rows carry median times, tokens per second, peak memory and how many other cores were
busy meanwhile. Progress goes to stderr.
"""

import argparse
import json
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import time

PRECISIONS = ["f32", "autocast", "bf16"]  # f32; f32 weights under bf16 autocast; bf16 weights
ENGINES = ["eager", "compile"]
EXPERTS = ["eager", "grouped_mm", "batched_mm"]
ATTENTIONS = ["sdpa", "eager"]
# batched_mm copies an expert's weights for every token: bytes allowed. With 2.4 GB tiny_moe trained 87 tokens/s, not 4000.
MAX_COPIED_WEIGHTS = 1e9
MAX_ROW_SECONDS = 600
GENERATE = {"prompts": 64, "prompt_tokens": 24, "new_tokens": 32}


def _dense(layers, width, heads, inner, vocab):
    return {"vocab_size": vocab, "hidden_size": width, "num_hidden_layers": layers,
            "num_attention_heads": heads, "num_key_value_heads": heads, "intermediate_size": inner,
            "max_position_embeddings": 1024, "tie_word_embeddings": False}


def _moe(dense, q, kv, nope, rope, v):
    return dense | {
        "q_lora_rank": q, "kv_lora_rank": kv, "qk_nope_head_dim": nope, "qk_rope_head_dim": rope,
        "v_head_dim": v, "moe_intermediate_size": dense["intermediate_size"] // 4,
        "n_routed_experts": 16, "n_shared_experts": 1, "num_experts_per_tok": 4,
        "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1, "norm_topk_prob": True,
        "routed_scaling_factor": 1.0}


TINY = _dense(6, 192, 6, 512, 4096)
SMALL = _dense(8, 384, 6, 1536, 8192)
V3_NANO = _moe(_dense(3, 128, 4, 256, 64), 48, 32, 16, 8, 16) | {
    "n_routed_experts": 8, "num_experts_per_tok": 2, "rope_theta": 100.0}

# name: config, rows and tokens of a training batch (None: not trained here), sampling measured
MODELS = {
    "tiny_dense": (TINY, (8, 256), True),
    "tiny_moe": (_moe(TINY, 96, 64, 32, 16, 32), (8, 256), False),
    "small_dense": (SMALL, (8, 512), False),
    "small_moe": (_moe(SMALL, 192, 128, 64, 32, 64), (8, 512), False),
    "llm_nano": (_dense(4, 128, 4, 512, 65), (12, 64), False),
    "v3_nano": (V3_NANO, (64, 24), True),
}


def has_experts(config):
    return "n_routed_experts" in config


# ---- one row, in a process of its own -----------------------------------------------------------


class OtherLoad:
    """How many cores other processes kept busy since this was made."""

    def __init__(self):
        self.start = self._now()

    @staticmethod
    def _now():
        fields = [int(word) for word in open("/proc/stat").readline().split()[1:9]]
        busy = sum(fields) - fields[3] - fields[4]  # all but idle and iowait
        own = sum(os.times()[:4])  # this process and its finished children
        return time.monotonic(), busy / os.sysconf("SC_CLK_TCK"), own

    def cores(self):
        wall, busy, own = (now - then for now, then in zip(self._now(), self.start))
        return round(max(0.0, (busy - own) / wall), 2)


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def build(row):
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    config = dict(MODELS[row["model"]][0])
    if row["model"] == "llm_nano":
        config["intermediate_size"] = row["nano_inner"]
    torch.manual_seed(1)
    kinds = {"attn_implementation": row["attention"]}
    if has_experts(config):
        kinds["experts_implementation"] = row["experts"]
        model = transformers.DeepseekV3ForCausalLM._from_config(
            transformers.DeepseekV3Config(**config), **kinds)
    else:
        model = transformers.LlamaForCausalLM._from_config(
            transformers.LlamaConfig(**config), **kinds)
    return model.bfloat16() if row["precision"] == "bf16" else model


def times_of(function, warm_up, repeats):
    for _ in range(warm_up):
        function()
    result = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        result.append(time.perf_counter() - start)
    return result


def train_row(row):
    """Median seconds of forward with backward, and of the optimizer with its clearing."""
    import torch

    before_mb = peak_mb()
    model = build(row).train()
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.95), eps=1e-8,
                                  weight_decay=0.1, fused=True)
    rows, tokens = MODELS[row["model"]][1]
    ids = torch.randint(0, model.config.vocab_size, (rows, tokens))

    def loss_of(ids):
        with torch.autocast("cpu", torch.bfloat16, enabled=row["precision"] == "autocast"):
            return model(input_ids=ids, labels=ids, use_cache=False).loss

    forward = torch.compile(loss_of, dynamic=False) if row["engine"] == "compile" else loss_of

    def update():
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)

    def step():
        start = time.perf_counter()
        forward(ids).backward()
        middle = time.perf_counter()
        update()
        return middle - start, time.perf_counter() - middle

    for _ in range(row["warm_up"]):
        step()
    load = OtherLoad()
    steps = [step() for _ in range(row["repeats"])]
    model_seconds, optimizer_seconds = (statistics.median(part) for part in zip(*steps))
    return {
        "parameters": sum(weight.numel() for weight in parameters),
        "forward_backward_ms": 1e3 * model_seconds,
        "optimizer_ms": 1e3 * optimizer_seconds,
        "tokens_per_second": rows * tokens / model_seconds,
        "tokens_per_second_with_optimizer": rows * tokens / (model_seconds + optimizer_seconds),
        "step_seconds": [sum(step) for step in steps],
        "peak_mb": peak_mb(),
        "peak_mb_before_model": before_mb,
        "other_cores_busy": load.cores(),
    }


def sample_with_generate(model, prompt, new_tokens):
    return model.generate(prompt, do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
                          max_new_tokens=new_tokens)


def sample_with_loop(model, prompt, new_tokens, make_cache, decode):
    """The same without generate()'s bookkeeping."""
    import torch

    length = prompt.shape[1]
    cache = make_cache()
    state = model(input_ids=prompt, cache=cache, use_cache=True, logits_to_keep=1)
    picked = []
    for place in range(new_tokens):
        token = torch.multinomial(state.logits[:, -1].float().softmax(-1), 1)
        picked.append(token)
        if place + 1 < new_tokens:
            at = torch.full((1, 1), length + place)
            state = decode(input_ids=token, cache=cache, position_ids=at, use_cache=True)
    return torch.cat(picked, 1)


def generate_row(row):
    """Median seconds of sampling the new tokens of all prompts, prefill included."""
    import torch
    from transformers import DynamicCache, StaticCache

    model = build(row).eval()
    model.generation_config.eos_token_id = None
    prompts, prompt_tokens, new_tokens = GENERATE.values()
    prompt = torch.randint(0, model.config.vocab_size, (prompts, prompt_tokens))
    whole = prompt_tokens + new_tokens

    def sample():
        if row["engine"] == "generate":
            return sample_with_generate(model, prompt, new_tokens)[:, prompt_tokens:]
        if row["engine"] == "loop":
            return sample_with_loop(model, prompt, new_tokens,
                                    lambda: DynamicCache(config=model.config), model)
        return sample_with_loop(model, prompt, new_tokens,
                                lambda: StaticCache(config=model.config, max_cache_len=whole),
                                compiled)

    compiled = torch.compile(model, dynamic=False) if row["engine"] == "compile" else None
    with torch.inference_mode():
        if sample().shape != (prompts, new_tokens):
            raise RuntimeError("sampling stopped early")
        times_of(sample, row["warm_up"], 0)
        load = OtherLoad()
        seconds = times_of(sample, 0, row["repeats"])
    return {
        "seconds": statistics.median(seconds),
        "new_tokens_per_second": prompts * new_tokens / statistics.median(seconds),
        "peak_mb": peak_mb(),
        "other_cores_busy": load.cores(),
    }


def measure_here(row):
    import torch

    torch.set_num_threads(row["threads"])
    torch.set_num_interop_threads(1)
    result = generate_row(row) if row["task"] == "generate" else train_row(row)
    print(json.dumps(result))


# ---- the rows to be measured --------------------------------------------------------------------


def measure(row):
    """Measures one row in a new process; a mode that fails is a row with the reason."""
    environment = os.environ | {"OMP_NUM_THREADS": str(row["threads"]), "HF_HUB_OFFLINE": "1"}
    name = " ".join(str(row[key]) for key in ("model", "task", "precision", "engine", "experts",
                                              "attention") if row[key])
    print(f"{name} ...", end="", file=sys.stderr, flush=True)
    values = run_child([sys.executable, __file__, "--row", json.dumps(row)], environment)
    words = f"failed: {values['failed']}" if "failed" in values else f"{rate_of(values):.0f} tok/s"
    print(f" {words}", file=sys.stderr)
    return row | values


def run_child(command, environment):
    try:
        result = subprocess.run(command, text=True, capture_output=True, env=environment,
                                check=False, timeout=MAX_ROW_SECONDS)
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {MAX_ROW_SECONDS} s"}
    if result.returncode != 0:
        words = result.stderr.strip().splitlines() or [f"exit {result.returncode}"]
        return {"failed": words[-1][:300]}
    return json.loads(result.stdout.splitlines()[-1])


def rate_of(row):
    return row.get("tokens_per_second_with_optimizer", row.get("new_tokens_per_second", 0.0))


def best(rows):
    return max(rows, key=rate_of)


def copied_weights(config, tokens):
    expert = 3 * config["hidden_size"] * config["moe_intermediate_size"]
    return 4 * tokens * config["num_experts_per_tok"] * expert


def with_kernels_chosen(row, tokens, engines, options):
    """All precisions and engines, with the attention and experts that are fastest in f32."""
    config = MODELS[row["model"]][0]
    base = row | {"precision": "f32", "engine": engines[0]}
    if has_experts(config):
        rows = []
        for experts in EXPERTS:
            if experts == "batched_mm" and copied_weights(config, tokens) > MAX_COPIED_WEIGHTS:
                continue
            for attention in ATTENTIONS:
                rows.append(measure(base | {"experts": experts, "attention": attention}))
    else:
        rows = [measure(base | {"experts": None, "attention": "sdpa"})]
    chosen = {key: best(rows)[key] for key in ("experts", "attention")}
    for precision in options.precisions:
        for engine in engines:
            if (precision, engine) != ("f32", engines[0]):
                rows.append(measure(row | chosen | {"precision": precision, "engine": engine}))
    return rows


def nano_seconds(row):
    """2000 steps, from the mean of those measured."""
    return 2000 * statistics.mean(row["step_seconds"]) if "step_seconds" in row else None


def measure_model(name, options):
    config, batch, sampled = MODELS[name]
    row = {"model": name, "threads": options.threads, "warm_up": 3, "repeats": options.repeats,
           "nano_inner": options.nano_inner}
    rows = []
    if "train" in options.tasks:
        if name == "llm_nano":
            row = row | {"repeats": options.nano_steps}
        rows += with_kernels_chosen(row | {"task": "train"}, batch[0] * batch[1],
                                    options.engines, options)
    if "generate" in options.tasks and sampled:
        engines = ["loop", "generate"] + (["compile"] if "compile" in options.engines else [])
        rows += with_kernels_chosen(row | {"task": "generate", "repeats": options.repeats},
                                    GENERATE["prompts"], engines, options)
    for one in rows:
        if name == "llm_nano":
            one["seconds_for_2000_steps"] = nano_seconds(one)
        one.pop("step_seconds", None)
    return rows


def processor():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    words = {key.strip(): value.strip() for key, value in fields.items()}
    flags = [flag for flag in words.get("flags", "").split()
             if flag.startswith(("avx512", "amx", "avx2"))]
    return {"name": words.get("model name", platform.processor()), "flags": sorted(flags),
            "cores": os.cpu_count()}


def report(rows):
    from importlib.metadata import version

    measured = [row for row in rows if "failed" not in row]
    groups = sorted({(row["model"], row["task"]) for row in measured})
    winners = {}
    for model, task in groups:
        same = [row for row in measured if (row["model"], row["task"]) == (model, task)]
        winners[f"{model} {task}"] = best(same)
        single = [row for row in same if row["precision"] == "f32"]
        if single:
            winners[f"{model} {task} f32"] = best(single)
    memory = [row for row in measured if row["model"] == "small_dense" and row["task"] == "train"]
    result = {
        "versions": {name: version(name) for name in ("torch", "transformers")},
        "processor": processor(),
        "best": winners,
        "rows": rows,
    }
    if memory:
        plain = min(memory, key=lambda row: row["peak_mb"])
        result["small_dense_training_step"] = {
            key: plain[key] for key in ("precision", "engine", "peak_mb", "peak_mb_before_model")}
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--tasks", nargs="+", choices=["train", "generate"],
                        default=["train", "generate"])
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    parser.add_argument("--repeats", type=int, default=15, help="default %(default)s")
    parser.add_argument("--threads", type=int, default=2, help="default %(default)s")
    parser.add_argument("--nano-inner", type=int, choices=[344, 512], default=344,
                        help="SwiGLU width of llm_nano; default %(default)s")
    parser.add_argument("--nano-steps", type=int, default=200,
                        help="steps of llm_nano to time; default %(default)s")
    parser.add_argument("--out", type=pathlib.Path, help="also write the JSON here")
    parser.add_argument("--row", help=argparse.SUPPRESS)  # the child process
    options = parser.parse_args()
    if options.row:
        return measure_here(json.loads(options.row))
    rows = [row for name in options.models for row in measure_model(name, options)]
    text = json.dumps(report(rows), indent=1)
    if options.out:
        options.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    sys.exit(main())
