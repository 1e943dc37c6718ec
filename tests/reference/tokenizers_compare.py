#!/usr/bin/env python3
"""Fathom's tokenizers against the `tokenizers` library: ids, texts and speed on one thread.

    tokenizers_compare.py --fathom PROGRAM --data FOLDER [NAME...]

FOLDER holds one folder with a tokenizer.json for each NAME (all of them if none is given); the
tokenizer of DeepSeek-V2 is made from deepseek-llm by its other added tokens. Prints one line for
each tokenizer and exits with 1 where anything differs. Checked:

  ids     of every document, added tokens parsed; of each fourth, control tokens left as text
  texts   decoded from the ids of each fourth document, bytes compared
  speed   the reference's encode_batch_fast of one document at a time against `encode --timing`,
          on the documents up to 64 KB, both on one thread, in processor time
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
import tokenizers  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import tokenizer_corpus  # noqa: E402

V2_ADDED = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜fim▁hole｜>", "<｜fim▁begin｜>", "<｜fim▁end｜>",
            "<｜completion｜>", "<｜User｜>", "<｜Assistant｜>", "<|EOT|>", "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>",
            "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁outputs▁begin｜>", "<｜tool▁outputs▁end｜>",
            "<｜tool▁output▁begin｜>", "<｜tool▁output▁end｜>", "<｜tool▁sep｜>"]


def v2_json(llm):
    added = [{"id": 100000 + i, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": i > 1, "special": i < 2} for i, content in enumerate(V2_ADDED)]
    return {**llm, "added_tokens": added}


def without_control_tokens(file):
    """The library numbers added tokens by their order, so those behind the vocabulary get other names."""
    def is_text(token):
        return not token["special"] and len(token["content"]) == 1

    hidden = [t if is_text(t) else {**t, "content": f"\U0010FFFE{t['id']}\U0010FFFE"}
              for t in file["added_tokens"] if is_text(t) or t["content"] not in file["model"]["vocab"]]
    return {**file, "added_tokens": hidden}


def run(fathom, arguments):
    done = subprocess.run([fathom, "tokenizer", *arguments], capture_output=True, timeout=280)
    if done.returncode:
        sys.exit(f"{' '.join(arguments[:2])}: exit {done.returncode}: {done.stderr.decode()[-500:]}")
    return done


def fathom_ids(fathom, folder, paths, *flags):
    files = [part for path in paths for part in ("--file", str(path))]
    done = run(fathom, ["encode", str(folder), "--no-bos", "--output", "json", "--timing", *flags, *files])
    seconds = float(re.search(r"processor time ([0-9.]+) s", done.stderr.decode())[1])
    return [json.loads(line)["ids"] for line in done.stdout.splitlines()], seconds


def fathom_texts(fathom, folder, ids, temp):
    files = []
    for i, one in enumerate(ids):
        path = temp / f"ids{i}.json"
        path.write_text(json.dumps(one))
        files += ["--file", str(path)]
    done = run(fathom, ["decode", str(folder), "--output", "json", "--added-as-bytes", *files])
    return [json.loads(line)["text"] for line in done.stdout.splitlines()]


def reference_ids(tokenizer, texts):
    ids, seconds = [], 0.0
    for text in texts:
        start = time.process_time()
        encoded = tokenizer.encode_batch_fast([text], add_special_tokens=False)
        seconds += time.process_time() - start
        ids.append(encoded[0].ids)
    return ids, seconds


def first_difference(what, index, a, b):
    place = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return f"{what} {index}: at {place}: reference {a[max(0, place - 3):place + 4]!r}, fathom {b[max(0, place - 3):place + 4]!r}"


def differences(what, expected, got):
    assert len(expected) == len(got), (what, len(expected), len(got))
    return [first_difference(what, i, a, b) for i, (a, b) in enumerate(zip(expected, got)) if a != b]


def compare(name, file, fathom, small, large, temp):
    folder = temp / name
    folder.mkdir()
    text = json.dumps(file, ensure_ascii=False)
    (folder / "tokenizer.json").write_text(text)
    reference = tokenizers.Tokenizer.from_str(text)
    plain = tokenizers.Tokenizer.from_str(json.dumps(without_control_tokens(file)))
    texts = {path: path.read_bytes().decode("utf-8", "replace") for path in small + large}
    fourth = (small + large)[::4]

    expected, reference_seconds = reference_ids(reference, [texts[p] for p in small])
    got, seconds = fathom_ids(fathom, folder, small, "--special")
    found = differences("ids of document", expected, got)
    expected_large, _ = reference_ids(reference, [texts[p] for p in large])
    got_large, seconds_large = fathom_ids(fathom, folder, large, "--special")
    found += differences("ids of adversarial document", expected_large, got_large)
    expected_plain, _ = reference_ids(plain, [texts[p] for p in fourth])
    found += differences("plain ids of document", expected_plain, fathom_ids(fathom, folder, fourth)[0])
    some = (expected + expected_large)[::4]
    decoded = [reference.decode(ids, skip_special_tokens=False) for ids in some]
    found += differences("text of document", decoded, fathom_texts(fathom, folder, some, temp))

    size = sum(len(texts[p].encode()) for p in small) / 1e6
    size_large = sum(len(texts[p].encode()) for p in large) / 1e6
    print(f"{name}: {len(found)} differences in {len(small)} documents ({size:.1f} MB) and {len(large)} adversarial ones "
          f"({size_large:.1f} MB); fathom {size / seconds:.1f} MB/s, reference {size / reference_seconds:.2f} MB/s, "
          f"ratio {reference_seconds / seconds:.1f}; adversarial {size_large / seconds_large:.1f} MB/s", flush=True)
    for line in found[:5]:
        print("  " + line[:600])
    return not found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fathom", required=True)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--megabytes", type=float, default=10.5, help="of documents up to 64 KB")
    parser.add_argument("--adversarial-kilobytes", type=int, default=1000, help="of each; 0 leaves them out")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    files = {p.parent.name: p for p in sorted(options.data.glob("*/tokenizer.json"))}
    loaded = {name: json.loads(path.read_text()) for name, path in files.items()
              if not options.names or name in options.names or (name == "deepseek-llm" and "deepseek-v2" in options.names)}
    if "deepseek-llm" in loaded:
        loaded["deepseek-v2"] = v2_json(loaded["deepseek-llm"])
    if options.names:
        loaded = {name: loaded[name] for name in options.names}
    with tempfile.TemporaryDirectory() as folder:
        temp = pathlib.Path(folder)
        small, large = [], []
        for i, data in enumerate(tokenizer_corpus.documents(options.seed, int(options.megabytes * 1e6))):
            small.append(temp / f"d{i}")
            small[-1].write_bytes(data)
        if options.adversarial_kilobytes:
            for i, data in enumerate(tokenizer_corpus.adversarial(options.seed, options.adversarial_kilobytes * 1000)):
                large.append(temp / f"a{i}")
                large[-1].write_bytes(data)
        print(f"tokenizers {tokenizers.__version__}, seed {options.seed}", flush=True)
        good = [compare(name, file, options.fathom, small, large, temp) for name, file in loaded.items()]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
