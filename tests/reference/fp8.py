"""FP8 checkpoints as DeepSeek-V3 is published: codes, and an f32 scale for each 128 x 128 of them.

transformers runs such checkpoints on a GPU only. Here they are made from ordinary weights, and read
as the f32 values that codes and scales stand for.
"""

import atexit
import json
import re
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

BLOCK = 128
LARGEST = 448.0  # of float8_e4m3fn
QUANTISED = re.compile(r".*\.(self_attn|mlp)\..*_proj(_with_mqa)?\.weight")  # not gate, not eh_proj


def quantization_config(scale_fmt):
    """Of config.json; scale_fmt "f32", or "ue8m0" for scales that are powers of two."""
    config = {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
              "weight_block_size": [BLOCK, BLOCK]}
    return config | ({} if scale_fmt == "f32" else {"scale_fmt": scale_fmt})


def spread(scales, shape):
    """One scale for each element: [ceil(rows / 128), ceil(cols / 128)] -> [rows, cols]."""
    wide = scales.repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)
    return wide[:shape[0], :shape[1]]


def quantise(weight, scale_fmt):
    """Codes and scales of a matrix; edge blocks are padded with zeros."""
    rows, cols = weight.shape
    padded = torch.nn.functional.pad(weight.float(), (0, -cols % BLOCK, 0, -rows % BLOCK))
    blocks = padded.unflatten(0, (-1, BLOCK)).unflatten(2, (-1, BLOCK))  # [down, 128, across, 128]
    scales = blocks.abs().amax((1, 3)) / LARGEST
    scales = torch.where(scales == 0, 1.0, scales)
    if scale_fmt == "ue8m0":
        scales = scales.log2().ceil().exp2()
    return (weight.float() / spread(scales, weight.shape)).to(torch.float8_e4m3fn), scales


def quantise_weights(weights, scale_fmt):
    """All tensors of a checkpoint, those that are so published as codes with their scales."""
    result = {}
    for name, weight in weights.items():
        if QUANTISED.fullmatch(name):
            result[name], result[f"{name}_scale_inv"] = quantise(weight, scale_fmt)
        else:
            result[name] = weight
    return result


def read_weights(folder):
    """The tensors of a model folder; codes as the f32 values they stand for."""
    stored = load_file(Path(folder) / "model.safetensors")
    return {name: tensor.float() * spread(stored[f"{name}_scale_inv"], tensor.shape)
            if tensor.dtype == torch.float8_e4m3fn else tensor
            for name, tensor in stored.items() if not name.endswith("_scale_inv")}


def readable(folder):
    """A folder that holds the same model without FP8: `folder` itself, or a copy that lives as long
    as this process."""
    config = json.loads((Path(folder) / "config.json").read_text())
    if "quantization_config" not in config:
        return folder
    copy = tempfile.TemporaryDirectory()
    atexit.register(copy.cleanup)
    del config["quantization_config"]
    (Path(copy.name) / "config.json").write_text(json.dumps(config))
    save_file(read_weights(folder), Path(copy.name) / "model.safetensors", {"format": "pt"})
    return Path(copy.name)
