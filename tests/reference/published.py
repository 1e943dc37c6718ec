"""Models by transformers, and their weights under the names that published checkpoints use."""

import contextlib
import json
import re
import sys

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.modeling_layers import MtpModel

import fp8
from plain import PlainModel

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


def set_repeatable(threads=1):
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.backends.mkldnn.enabled = False  # its f32 products may differ between processors


def load_config(folder):
    """The config of a model folder, with end tokens removed so that generation never stops."""
    config = AutoConfig.from_pretrained(folder)
    config.eos_token_id = None
    return config


def load_model(folder):
    """A model folder as transformers reads it, in f32 and the plainest attention and experts."""
    folder = fp8.readable(folder)
    config = load_config(folder)
    plain = {"attn_implementation": "eager"}
    if hasattr(config, "n_routed_experts"):
        plain["experts_implementation"] = "eager"
    model = AutoModelForCausalLM.from_pretrained(
        folder, config=config, dtype=torch.float32, **plain)
    model.generation_config.eos_token_id = None
    return model.eval()


def new_mtp(model):
    """The multi-token prediction layer that belongs to `model`; the weights are unset."""
    return MtpModel(model, model.config.num_mtp_layers).eval()


def load_mtp(model):
    """The same, read from the folder of `model` by its published names."""
    layers = model.config.num_hidden_layers
    model._keys_to_ignore_on_load_unexpected = [rf"model\.layers\.{layers}.*"]
    return MtpModel.from_pretrained(model).eval()


def states_before_norm(model, ids):
    """What the final norm is given, [1, tokens, hidden_size]."""
    given = []
    hook = model.model.norm.register_forward_pre_hook(lambda _norm, inputs: given.append(inputs[0]))
    model.model(input_ids=ids[None])
    hook.remove()
    return given[0]


def mtp_logits(model, mtp, ids, before_norm=False):
    """Logits for ids[i + 2] from the final state of token i, after or before the final norm, and the
    embedding of token i + 1.

    ids [tokens]; returns [tokens - 1, vocab]
    """
    hidden = (states_before_norm(model, ids) if before_norm else
              model.model(input_ids=ids[None]).last_hidden_state)  # [1, tokens, hidden_size]
    positions = torch.arange(ids.numel() - 1)[None]
    state = mtp.forward_layer(0, hidden[:, :-1], positions, None, input_ids=ids[None, 1:])
    return mtp.shared_head(state)[0]


@contextlib.contextmanager
def double_precision(model, mtp=None):
    """Runs a model in f64, also where its code asks for f32 by name (norms, softmax, router).

    Rotary angles stay f32: every implementation computes them so.
    """

    class Double:
        float32 = torch.float64

        def __getattr__(self, name):
            return getattr(torch, name)

    if isinstance(model, PlainModel):
        model.double()
        yield
        model.float()
        return
    module = sys.modules[type(model).__module__]
    module.torch = Double()
    models = [model] if mtp is None else [model, mtp]
    try:
        for each in models:
            each.double()
        yield
    finally:
        module.torch = torch
        for each in models:
            each.float()


def split_experts(tensors):
    """transformers stacks experts; checkpoints hold each projection of each expert apart."""
    result = {}
    for name, tensor in tensors.items():
        stacked = re.fullmatch(r"(.*\.experts)\.(gate_up_proj|down_proj)", name)
        if not stacked:
            result[name] = tensor
            continue
        for index, expert in enumerate(tensor):
            halves = expert.chunk(2) if stacked[2] == "gate_up_proj" else [expert]
            names = ["gate_proj", "up_proj"] if len(halves) == 2 else ["down_proj"]
            for half, projection in zip(halves, names):
                result[f"{stacked[1]}.{index}.{projection}.weight"] = half
    return result


def published_mtp(tensors, layers):
    """Renames an MtpModel's own tensors; its embedding and head are the main model's."""
    result = {}
    for name, tensor in tensors.items():
        if name.startswith("layers.0."):
            name = name.replace("layers.0.", f"model.layers.{layers}.").replace(".mtp_block.", ".")
            result[name.replace(".post_norm.", ".shared_head.norm.")] = tensor
    return split_experts(result)


def published_weights(model, mtp=None):
    """All weights of a checkpoint, copied; a tied head is left out as in published folders."""
    state = dict(model.state_dict())
    if model.config.tie_word_embeddings:
        del state["lm_head.weight"]
    result = split_experts(state)
    if mtp is not None:
        layers = model.config.num_hidden_layers
        result |= published_mtp(dict(mtp.state_dict()), layers)
        result[f"model.layers.{layers}.embed_tokens.weight"] = state["model.embed_tokens.weight"]
        result[f"model.layers.{layers}.shared_head.head.weight"] = state["lm_head.weight"]
    return {name: tensor.detach().clone().contiguous() for name, tensor in result.items()}


def _gradients(module):
    return {
        name: torch.zeros_like(weight) if weight.grad is None else weight.grad
        for name, weight in module.named_parameters()
    }


def published_gradients(model, mtp=None):
    """Gradients by published weight name; zero where a weight had none. Shared weights, such as
    the embedding of a multi-token layer, appear once, under the main model's name."""
    if isinstance(model, PlainModel):
        return model.published_gradients()
    result = split_experts(_gradients(model))
    if mtp is not None:
        result |= published_mtp(_gradients(mtp), model.config.num_hidden_layers)
    return {name: gradient.clone().contiguous() for name, gradient in result.items()}


def write_folder(folder, config, weights):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def read_tensors(path):
    return load_file(path)
