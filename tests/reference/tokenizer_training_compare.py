#!/usr/bin/env python3
"""`fathom tokenizer train` against the trainer of the `tokenizers` library.

    tokenizer_training_compare.py --fathom PROGRAM [--megabytes 3] [--vocab-size 8000]

Trains both on the same generated documents and compares all merges; then loads Fathom's file with
the library and compares the ids of documents that neither has seen. The documents hold no long runs
of one character, because the two limit the length of tokens differently.
"""

import argparse
import json
import pathlib
import sys
import tempfile

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

import tokenizer_corpus
from tokenizers_compare import differences, fathom_ids, run

KINDS = [kind for kind in tokenizer_corpus.KINDS if kind != "runs"]


def texts(seed, size):
    return [data.decode("utf-8", "replace") for data in tokenizer_corpus.documents(seed, size, KINDS)]


def train_reference(made, corpus, vocab_size):
    blank = {**made, "added_tokens": [], "model": {"type": "BPE", "vocab": {}, "merges": []}}
    tokenizer = Tokenizer.from_str(json.dumps(blank))
    tokenizer.train_from_iterator(corpus, trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=2, show_progress=False,
        special_tokens=[token["content"] for token in made["added_tokens"]],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    return json.loads(tokenizer.to_str())["model"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fathom", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--megabytes", type=float, default=3)
    parser.add_argument("--vocab-size", type=int, default=8000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        temp = pathlib.Path(folder)
        corpus = texts(options.seed, int(options.megabytes * 1e6))
        (temp / "corpus.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in corpus))
        run(options.fathom, ["train", str(temp / "corpus.jsonl"), "--vocab-size", str(options.vocab_size), "--out", str(temp / "made")])
        made = json.loads((temp / "made" / "tokenizer.json").read_text())
        model = train_reference(made, corpus, options.vocab_size)
        expected = [tuple(merge) for merge in model["merges"]]
        got = [tuple(merge.split(" ")) for merge in made["model"]["merges"]]
        found = differences("merges", [expected], [got])
        if model["vocab"] != made["model"]["vocab"]:
            found.append("the vocabularies differ")

        unseen, paths = texts(options.seed + 1, 1_000_000), []
        for i, text in enumerate(unseen):
            paths.append(temp / f"d{i}")
            paths[-1].write_text(text, newline="")
        loaded = Tokenizer.from_file(str(temp / "made" / "tokenizer.json"))
        ids = [loaded.encode(text, add_special_tokens=False).ids for text in unseen]
        found += differences("ids of document", ids, fathom_ids(options.fathom, temp / "made", paths, "--special")[0])
        print(f"training: {len(found)} differences in {len(got)} merges and {len(unseen)} unseen documents")
        for line in found[:5]:
            print("  " + line[:600])
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
