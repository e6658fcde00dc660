"""Rows per second of scoring all labels of a taxonomy: as one tree, and with one full pass per label, side by side in one run.

    python benchmarks/bench_labels.py --rows 64 --plain-rows 8 --out benchmarks/labels.json

Both ways have the same model (float32), one thread, head, prompts and labels; the plain way reads head, prompt and label afresh for each
label, the labels of a row in one batch, and computes logits at the labels only. Loading the model and reading the head are not counted.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from pathlib import Path

import numpy as np
from common import about, keep

from emosynth.catalog import Catalog
from emosynth.models.lm.assets import dequantised_folder, generator_files
from emosynth.models.lm.label_tree import plain_scores
from emosynth.models.lm.labels import LabelScorer, row_prompt
from emosynth.models.transformer import one_thread
from emosynth.params import Generator
from emosynth.paths import Paths, repository_root

LABELS = [
    "admiring", "amused", "angry", "annoyed", "approving", "caring", "confused", "curious", "desiring", "disappointed", "disapproving",
    "disgusted", "embarrassed", "excited", "afraid", "grateful", "grieving", "joyful", "loving", "nervous", "optimistic", "proud",
    "realizing", "relieved", "remorseful", "sad", "surprised", "neutral",
]  # fmt: skip
WHO = ["My sister", "The old man next door", "Nobody in our team", "The new teacher"]
DID = ["lost the keys to the car", "won a small prize at the fair", "forgot to call her mother", "came home very late"]
THEN = ["and cried all night.", "so we all went home early", "but it did not matter at all!", "why does this always happen?"]
LAST = ["I will never forget it.", "We talked about it for weeks."]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct", help="catalogue entry or path of a GGUF file or model folder")
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--plain-rows", type=int, default=8, help="the plain way is slow: it scores only so many")
    parser.add_argument("--note", help="what else the machine was doing, to be kept with the numbers")
    parser.add_argument("--out", type=Path, help="write the numbers as JSON")
    options = parser.parse_args()

    catalog = Catalog.load(Paths(repository_root(Path(__file__).parent), "demo"))
    found = generator_files(Generator(model=options.model), catalog)
    folder = dequantised_folder(found, catalog.paths.cache) if found.is_file() else found
    labels = [f" {label}" for label in LABELS]
    prompts = [row_prompt(" ".join(parts)) for parts in itertools.product(WHO, DID, THEN, LAST)][: options.rows]

    with tempfile.TemporaryDirectory() as cache, one_thread():
        # A fresh cache: every row is computed; one unit: in this process.
        scorer = LabelScorer(folder, Path(cache), unit=len(prompts))
        tokenizer, model, head, _ = scorer._parts()
        ids = tokenizer([*prompts, *labels], add_special_tokens=False)["input_ids"]
        rows, label_ids = ids[: len(prompts)], ids[len(prompts) :]

        scorer.score([row_prompt("So there.")], labels)  # what is only slow the first time in a process
        start = time.perf_counter()
        tree = scorer.score(prompts, labels)
        tree_seconds = time.perf_counter() - start

        # Spread over the rows, so that both ways see the same lengths.
        chosen = np.linspace(0, len(prompts) - 1, min(options.plain_rows, len(prompts))).round().astype(int)
        plain_scores(model, [*head, *rows[0]], label_ids[:2])
        start = time.perf_counter()
        plain = np.array([plain_scores(model, [*head, *rows[row]], label_ids) for row in chosen])
        plain_seconds = time.perf_counter() - start

    ways = [("tree of labels", len(prompts), tree_seconds), ("one pass per label", len(chosen), plain_seconds)]
    ratio = (len(prompts) / tree_seconds) / (len(chosen) / plain_seconds)
    difference = np.abs(tree[chosen] - plain)
    print(f"{'way':<34}{'rows':>6}{'seconds':>10}{'rows/s':>10}")
    for name, count, seconds in ways:
        print(f"{name:<34}{count:>6}{seconds:>10.1f}{count / seconds:>10.2f}")
    print(
        f"ratio {ratio:.1f}; scores differ by at most {difference.max():.1e} nats, {(difference / np.abs(plain)).max():.1e} of their size"
    )
    if options.out:
        numbers = {
            **about("torch", "transformers"),
            "model": options.model,
            "threads": 1,
            "note": options.note,
            "labels": len(labels),
            "head_tokens": len(head),
            "row_tokens": round(float(np.mean([len(row) for row in rows])), 1),
            "results": [
                {"way": name, "rows": count, "seconds": round(seconds, 2), "rows_per_second": round(count / seconds, 3)}
                for name, count, seconds in ways
            ],
            "ratio": round(ratio, 1),
            "largest_difference": float(f"{difference.max():.2e}"),
            "largest_relative_difference": float(f"{(difference / np.abs(plain)).max():.2e}"),
        }
        keep(options.out, numbers)


if __name__ == "__main__":
    main()
