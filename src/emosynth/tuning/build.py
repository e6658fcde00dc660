"""Step 06 from files: seeds of the corpus, and a generator tuned on each of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd

from emosynth.cards import Card, Source, read_table, write_table
from emosynth.catalog import Catalog
from emosynth.corpora import Corpus
from emosynth.errors import UserError
from emosynth.models.lm import LanguageModel
from emosynth.models.lm.tuned import TunedModel, TunedWeights, find_or_tune, load_tuned
from emosynth.params import Generator, Tuning
from emosynth.progress import say
from emosynth.tuning.examples import examples_of

HISTORY = ["kind", "size", "repeat", "epoch", "train_loss", "perplexity", "best"]
TUNED = [
    "kind", "size", "repeat", "sha256", "folder", "trainable", "total", "n_train", "n_held_out", "epochs", "best_epoch", "perplexity_before",
    "perplexity",
]  # fmt: skip


def cells(tuning: Tuning) -> list[tuple[str, int, int]]:
    """Return kind, size and repeat of every generator to be tuned, in order."""
    return [
        (name, size, repeat)
        for name, kind in tuning.kinds.items()
        for repeat in range(min(kind.repeats or tuning.seeding.repeats, tuning.seeding.repeats))
        for size in (kind.sizes or tuning.seeding.sizes)
    ]


def build_tuning(corpus: Corpus, order: pd.DataFrame, tuning: Tuning, catalog: Catalog, folder: Path) -> dict[str, pd.DataFrame]:
    """Tune a generator of every kind on every seed, from the cache where it is there; write ``history`` and ``tuned``.

    Parameters
    ----------
    corpus
        Only rows of seeds are looked at.
    folder
        Where the tables go; the weights lie in the cache.

    Raises
    ------
    UserError
        If the corpus is multi-label, or a model cannot be tuned.
    """
    if corpus.task != "single":
        raise UserError(
            f"{corpus.name} is multi-label; a label prefix names one class.", where="tuning.corpus", remedy="Choose a single-label corpus."
        )
    texts = dict(zip(corpus.frame["id"], corpus.frame["text"], strict=True))
    history, tuned = [], []
    plan = cells(tuning)
    for number, (name, size, repeat) in enumerate(plan, start=1):
        train, held_out = examples_of(order, texts, repeat, size, corpus.register_noun, tuning)
        progress = partial(_tell, f"tuning {number} of {len(plan)}: {name}, n = {size}, repeat {repeat}: ")
        card = (
            f"# {tuning.model} tuned on a seed of {corpus.name}\n\nKind {name} ({tuning.kinds[name].trainable}); {len(train)} rows of the seed of size "
            f"{size}, repeat {repeat}, behind the prefix “{tuning.prefix}”; stopped early on {len(held_out)} other rows of that seed.\n"
        )
        found = find_or_tune(tuning, tuning.kinds[name], train, held_out, catalog, seed=repeat, card=card, progress=progress)
        if found.best == 0:
            say(f"tuning: {name}, n = {size}, repeat {repeat}: no epoch was better than the untuned model, which is kept")
        history += [
            {"kind": name, "size": size, "repeat": repeat, **vars(epoch), "best": epoch.epoch == found.best} for epoch in found.history
        ]
        tuned.append(_row(name, size, repeat, found, len(train), len(held_out)))
    tables = {"history": pd.DataFrame(history)[HISTORY], "tuned": pd.DataFrame(tuned)[TUNED]}
    for name, frame in tables.items():
        write_table(frame, folder / f"{name}.parquet", _card(name, corpus, tuning, frame))
    return tables


def _tell(head: str, line: str) -> None:
    say(head + line)


def _row(name: str, size: int, repeat: int, found: TunedWeights, n_train: int, n_held_out: int) -> dict[str, object]:
    return {
        "kind": name,
        "size": size,
        "repeat": repeat,
        "sha256": found.sha256,
        "folder": found.folder.name,
        "trainable": found.trainable,
        "total": found.total,
        "n_train": n_train,
        "n_held_out": n_held_out,
        "epochs": len(found.history) - 1,
        "best_epoch": found.best,
        "perplexity_before": found.history[0].perplexity,
        "perplexity": found.history[found.best].perplexity,
    }


def _card(name: str, corpus: Corpus, tuning: Tuning, frame: pd.DataFrame) -> Card:
    return Card(
        title=f"Generators tuned on seeds of {corpus.name}: {name}",
        what={
            "history": "Training loss and held-out perplexity after every epoch; epoch 0 is the untuned model.",
            "tuned": "One tuned generator a row: what was trained, on how much, and what it is worth on held-out rows of the seed.",
        }[name],
        made=f"Step 06 (tuning). {tuning.model}; prefix “{tuning.prefix}”; batch {tuning.batch}; at most {tuning.epochs} epochs.",
        sources=[Source(name=corpus.name, version=corpus.source, hash=corpus.hash)],
        columns={
            "perplexity": "per token of held-out seed rows, label prefix given, end of line included",
            "train_loss": "nats per token, mean over the epoch",
            "trainable": "parameters trained",
            "folder": "name in the cache",
        },
        counts={"generators": frame.groupby(["kind", "size", "repeat"]).ngroups},
        limits=["The held-out rows are part of the seed: early stopping costs a tenth of the labels and asks for no others."],
        licence=corpus.licence,
        languages=corpus.languages,
        tags=["tuning", "language-model"],
        citation=corpus.citation,
    )


def tuned_generators(tuning: Tuning, generator: Generator, catalog: Catalog, folder: Path) -> Callable[[str, int, int], LanguageModel]:
    """Return a function that opens the generator of a kind, size and repeat that step 06 tuned."""
    table = read_table(folder / "tuned.parquet", TUNED, stage="tuning").set_index(["kind", "size", "repeat"])

    def open_tuned(kind: str, size: int, repeat: int) -> LanguageModel:
        row = table.xs((kind, size, repeat))
        weights = load_tuned(catalog.paths.cache / "tuned" / str(row["folder"]), tuning.kinds[kind])
        if weights.sha256 != row["sha256"]:
            raise UserError(
                "The tuned generator in the cache is not the one of step 06.",
                where=f"{kind}, n = {size}, repeat {repeat}",
                remedy="Run: dvc repro -f 06_tuning.",
            )
        return TunedModel(generator, weights, catalog)

    return open_tuned
