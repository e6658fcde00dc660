"""Seconds per epoch of tuning a generator's top blocks, side by side in one run.

    python benchmarks/bench_tuning.py --rows 128 --blocks 4 --out tuning.json

Both ways tune the same blocks of the same model on the same invented rows with the same batches of rows: here the frozen blocks are
run once and remembered, the peer (``transformers.Trainer``) runs them in every epoch and computes the loss over prefix and padding too.
The time to load the model is not counted; running the frozen blocks once is.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from common import about, keep

from emosynth.catalog import Catalog
from emosynth.models.lm.assets import dequantised_folder, generator_files
from emosynth.models.lm.trainable import load_for_tuning, prepare
from emosynth.models.lm.tune import Example, tune
from emosynth.params import Generator, Tuning, WriterSpec
from emosynth.paths import Paths, repository_root

WORDS = [
    "the", "a", "film", "story", "music", "actor", "scene", "plot", "slow", "quick", "dull", "bright",
    "funny", "sad", "long", "short", "warm", "cold", "never", "always", "almost", "really",
]  # fmt: skip


def invented(rows: int) -> list[Example]:
    """Return rows of 10 to 30 random words behind two prefixes."""
    draw = random.Random(0)
    return [
        Example(draw.choice(["negative film review:", "positive film review:"]), " ".join(draw.choices(WORDS, k=draw.randint(10, 30))))
        for _ in range(rows)
    ]


def ours(folder: Path, spec: WriterSpec, rows: list[Example], epochs: int, batch: int) -> float:
    """Return seconds for all epochs, held-out perplexities on a handful of rows included."""
    with tempfile.TemporaryDirectory() as place:
        started: list[float] = []
        settings = Tuning(epochs=epochs, patience=epochs, batch=batch, max_tokens=64)
        tune(
            folder, spec, rows, rows[:8], settings, seed=0, checkpoint=Path(place) / "checkpoint.pt",
            progress=lambda _line: started.append(time.perf_counter()),
        )  # fmt: skip
        # The first line comes when the model is loaded and the frozen blocks have been run: their time is added below.
        return time.perf_counter() - started[0]


def frozen_once(folder: Path, spec: WriterSpec, rows: list[Example]) -> float:
    """Return seconds that running the frozen blocks once takes."""
    from emosynth.models.lm.tune import _Rows, _Trainer

    tokenizer, model = load_for_tuning(folder)
    trainer, made = _Trainer(model, spec), _Rows(tokenizer, rows, 64)
    start = time.perf_counter()
    trainer.remember(made)
    return time.perf_counter() - start


def peer(folder: Path, spec: WriterSpec, rows: list[Example], epochs: int, batch: int) -> float:
    """Return seconds that transformers' Trainer takes for the same epochs."""
    from transformers import DataCollatorForLanguageModeling, Trainer, TrainingArguments

    tokenizer, model = load_for_tuning(folder)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    prepare(model, spec)
    data: list[dict[str, Any]] = [dict(tokenizer(f"{row.prefix} {row.text}\n", truncation=True, max_length=80)) for row in rows]
    with tempfile.TemporaryDirectory() as place:
        arguments = TrainingArguments(
            place, per_device_train_batch_size=batch, num_train_epochs=epochs, learning_rate=spec.learning_rate, report_to=[], save_strategy="no",
            logging_strategy="no", disable_tqdm=True, use_cpu=True, dataloader_pin_memory=False,
        )  # fmt: skip
        trainer = Trainer(model, arguments, train_dataset=data, data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=False))  # type: ignore[arg-type]
        start = time.perf_counter()
        trainer.train()
        return time.perf_counter() - start


def main() -> None:
    """Measure both, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    catalog = Catalog.load(Paths(repository_root(), "demo"))
    folder = dequantised_folder(generator_files(Generator(), catalog), catalog.paths.cache)
    spec = WriterSpec(tune="top_blocks", blocks=given.blocks)
    rows = invented(given.rows)
    once = frozen_once(folder, spec, rows)
    mine = once + ours(folder, spec, rows, given.epochs, given.batch)
    other = peer(folder, spec, rows, given.epochs, given.batch)
    found = {
        **about("torch", "transformers", "accelerate"),
        "rows": given.rows, "blocks": given.blocks, "epochs": given.epochs, "batch": given.batch, "threads": torch.get_num_threads(),
        "seconds": {"frozen blocks remembered": round(mine, 1), "transformers Trainer": round(other, 1)},
        "of which running the frozen blocks once": round(once, 1),
        "ratio": round(other / mine, 2),
    }  # fmt: skip
    print(json.dumps(found, indent=1))
    keep(given.out, found)


if __name__ == "__main__":
    main()
