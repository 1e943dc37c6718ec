#!/usr/bin/env python3
"""Makes tests/vectors/tokenizers/NAME.json and NAME.jsonl with the `tokenizers` library.

    make_tokenizer_vectors.py --data FOLDER

Each NAME.json has the pipeline and some added tokens of the published FOLDER/NAME/tokenizer.json and
a vocabulary of a few hundred tokens trained here; a tenth of its merges is left out, so that some
tokens are never arrived at. NAME.jsonl holds texts, the ids with added tokens parsed ("ids") and
with control tokens left as text ("plain"). MANIFEST.json records origin, seed and hashes.
published_examples.jsonl is not made here: its lines are examples of the published tokenizers from
public test files.
"""

import argparse
import hashlib
import json
import pathlib
import random

import tokenizers
from tokenizers import models, pre_tokenizers, trainers

import tokenizer_corpus
from tokenizers_compare import without_control_tokens

SEED = 7
NEVER_IN_UTF8 = {0xC0, 0xC1, *range(0xF5, 0x100)}
FOLDER = pathlib.Path(__file__).parent.parent / "vectors" / "tokenizers"


def tiny_model(published, texts):
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps({**published, "added_tokens": []}))
    tokenizer.model = models.BPE()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    if "À" not in published["model"]["vocab"]:
        alphabet = [c for c in alphabet if not (ord(c) in NEVER_IN_UTF8)]
    trainer = trainers.BpeTrainer(vocab_size=700, initial_alphabet=alphabet, show_progress=False, max_token_length=12)
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    rng = random.Random(SEED)
    model["merges"] = [merge for merge in model["merges"] if rng.random() < 0.9]
    model["ignore_merges"] = published["model"].get("ignore_merges", False)
    return model


def some_added_tokens(published, size):
    kept = [t for t in published["added_tokens"] if not t["special"]][:20] + [t for t in published["added_tokens"] if t["special"]][:6]
    return [{**token, "id": size + i} for i, token in enumerate(kept)]


def write(name, published):
    training = [d.decode("utf-8", "ignore") for d in tokenizer_corpus.documents(SEED, 400_000)]
    model = tiny_model(published, training)
    file = {**published, "added_tokens": some_added_tokens(published, len(model["vocab"])), "model": model}
    if name == "llama3.1":  # its begin token has another id here
        file["post_processor"] = None
    text = json.dumps(file, ensure_ascii=False, indent=0)
    parsed = tokenizers.Tokenizer.from_str(text)
    plain = tokenizers.Tokenizer.from_str(json.dumps(without_control_tokens(file)))
    rng = random.Random(SEED)
    lines = []
    for i in range(60):
        data = tokenizer_corpus.document(rng, rng.randint(1, 220)).decode("utf-8", "replace")
        lines.append({"text": data, "ids": parsed.encode(data, add_special_tokens=False).ids,
                      "plain": plain.encode(data, add_special_tokens=False).ids})
    (FOLDER / f"{name}.json").write_text(text + "\n")
    (FOLDER / f"{name}.jsonl").write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, type=pathlib.Path)
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in sorted(options.data.glob("*/tokenizer.json")):
        write(path.parent.name, json.loads(path.read_text()))
    files = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(FOLDER.glob("*.json*")) if p.name != "MANIFEST.json"}
    manifest = {"origin": f"tokenizers {tokenizers.__version__}", "command": "tests/reference/make_tokenizer_vectors.py --data FOLDER",
                "seed": SEED, "files": files}
    (FOLDER / "MANIFEST.json").write_text(json.dumps(manifest, indent=1) + "\n")


main()
