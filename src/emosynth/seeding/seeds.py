"""Nested stratified seeds: one order of all training rows for each repeat.

A seed of size *n* is the first *n* rows of the order, its pool the rest. Hence a larger seed of a repeat holds every smaller
one, and a real expansion of a seed is simply the rows that come next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from emosynth.cards import Card, Source, read_table, write_table
from emosynth.corpora import Corpus
from emosynth.corpora.schema import some
from emosynth.errors import UserError
from emosynth.params import Seeding

COLUMNS = ["repeat", "rank", "id", "label"]


def primary_labels(rows: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """Return the label that each row is stratified by: its only one, or of several the rarest in ``rows``.

    Rarest first gives rare emotions of a multi-label corpus their due, which a stratification by first label would not.
    Of equally rare labels the one that comes first in ``classes`` is taken.
    """
    counts = Counter(label for labels in rows["labels"] for label in labels)
    place = {label: position for position, label in enumerate(classes)}
    return [min(labels, key=lambda label: (counts[label], place[label])) for labels in rows["labels"]]


def stratified_order(corpus: Corpus, params: Seeding) -> pd.DataFrame:
    """Order all training rows of a corpus, once for each repeat, so that every prefix is nearly stratified.

    The rows of each class are shuffled; the first ``min_per_class`` rows of every class are sure to be among the first
    ``sizes[0]``; after that, the class that lags most behind its share of the corpus comes next.

    Parameters
    ----------
    corpus
        Only its training rows are looked at; their order does not matter.
    params
        Sizes, repeats, rows of each class that the smallest seed holds at least, random seed.

    Returns
    -------
    DataFrame
        Columns repeat (from 0), rank (from 0), id, label (see `primary_labels`); sorted by repeat and rank.

    Raises
    ------
    UserError
        If a seed is larger than the training split, or a class has too few rows.
    """
    train = corpus.split("train").sort_values("id", kind="stable")
    labels = primary_labels(train, corpus.classes)
    counts = {label: labels.count(label) for label in corpus.classes}
    _check(corpus.name, counts, len(train), params)
    members: dict[str, list[str]] = {label: [] for label in corpus.classes}
    for identifier, label in zip(train["id"], labels, strict=True):
        members[label].append(identifier)
    sequence = interleave(counts, params.min_per_class, params.sizes[0])
    frames = []
    for repeat in range(params.repeats):
        rng = np.random.default_rng([params.random_seed, repeat])
        queues = {label: iter([rows[position] for position in rng.permutation(len(rows))]) for label, rows in members.items()}
        ids = [next(queues[label]) for label in sequence]
        frames.append(pd.DataFrame({"repeat": repeat, "rank": np.arange(len(ids)), "id": ids, "label": sequence}))
    return pd.concat(frames, ignore_index=True)[COLUMNS]


def _check(name: str, counts: Mapping[str, int], rows: int, params: Seeding) -> None:
    too_large = [size for size in params.sizes if size > rows]
    if too_large:
        raise UserError(
            f"Seeds of {some(too_large)} rows were asked for; {name} has {rows} training rows.",
            where="seeding.sizes",
            remedy=f"Ask for at most {rows}.",
        )
    short = {label: count for label, count in counts.items() if count < params.min_per_class}
    if short:
        raise UserError(
            f"Every seed must hold {params.min_per_class} rows of each class, but the training rows of {name} have only "
            + some([f"{count} of {label}" for label, count in short.items()])
            + ".",
            where="seeding.min_per_class",
            remedy="Lower min_per_class, or merge or leave out the rare classes.",
        )
    needed = params.min_per_class * len(counts)
    if params.sizes[0] < needed:
        raise UserError(
            f"A seed of {params.sizes[0]} rows cannot hold {params.min_per_class} rows of each of {len(counts)} classes.",
            where="seeding.sizes",
            remedy=f"Let the smallest size be at least {needed}, or lower min_per_class.",
        )


def interleave(counts: Mapping[str, int], least: int, within: int) -> list[str]:
    """Return the classes of an order whose prefixes are all nearly stratified.

    Greedy by deficit: at rank *t* the class whose share of *t+1* rows most exceeds what it has got comes next (ties: the
    rarer class, then the order of ``counts``). Without the guarantee below, no class ever strays from its share by a whole row
    or more for two classes, and by little more for many.

    Parameters
    ----------
    counts
        Rows of each class.
    least
        Rows of each class sure to be ...
    within
        ... among so many first rows. Classes that their share alone would not bring there come last of these.
    """
    total = sum(counts.values())
    classes = [label for label, count in counts.items() if count]
    got = dict.fromkeys(classes, 0)
    result: list[str] = []
    for rank in range(total):
        owed = [label for label in classes if got[label] < least]
        must = rank + sum(least - got[label] for label in owed) >= within and rank < within
        eligible = owed if must and owed else [label for label in classes if got[label] < counts[label]]
        chosen = max(eligible, key=lambda label: (counts[label] * (rank + 1) - got[label] * total, -counts[label]))
        got[chosen] += 1
        result.append(chosen)
    return result


# --- reading an order -------------------------------------------------------------------------------


def _of_repeat(order: pd.DataFrame, repeat: int) -> pd.DataFrame:
    rows = order[order["repeat"] == repeat]
    if rows.empty:
        known = sorted(int(value) for value in order["repeat"].unique())
        raise UserError(
            f"There is no repeat {repeat}; there are {some(known, 3)}.", where="the order of seeds", remedy="Raise seeding.repeats."
        )
    return rows


def _checked(order: pd.DataFrame, repeat: int, size: int) -> pd.DataFrame:
    rows = _of_repeat(order, repeat)
    if not 1 <= size <= len(rows):
        raise UserError(
            f"A seed of {size} rows was asked for; there are {len(rows)} training rows.", where="seeding.sizes", remedy="Ask for no more."
        )
    return rows


def seed_rows(order: pd.DataFrame, repeat: int, size: int) -> pd.DataFrame:
    """Return the seed of a repeat: the first ``size`` rows of its order."""
    return _checked(order, repeat, size).iloc[:size].reset_index(drop=True)


def pool_rows(order: pd.DataFrame, repeat: int, size: int, n: int | None = None) -> pd.DataFrame:
    """Return the ``n`` rows that come after the seed (None: all); fewer if the pool is smaller, which the caller must tell."""
    rows = _checked(order, repeat, size)
    return rows.iloc[size : None if n is None else size + n].reset_index(drop=True)


def balanced_pool_rows(order: pd.DataFrame, repeat: int, size: int, n: int, classes: Sequence[str] | None = None) -> pd.DataFrame:
    """Return ``n`` rows of the pool with as equal numbers of each class as the pool allows.

    A class that runs out gives its places to the others, so that the number of rows stays ``n`` while the pool lasts.

    Parameters
    ----------
    order, repeat, size, n
        As in `pool_rows`.
    classes
        Order of classes, which settles who gets the odd rows; None: by name.
    """
    pool = pool_rows(order, repeat, size)
    names = list(classes) if classes is not None else sorted(pool["label"].unique())
    # round k takes the k-th pool row of each class
    turn = pool.groupby("label", sort=False).cumcount()
    place = pool["label"].map({label: position for position, label in enumerate(names)})
    chosen = pool.assign(_turn=turn, _place=place).sort_values(["_turn", "_place"], kind="stable").head(n)
    return chosen.drop(columns=["_turn", "_place"]).reset_index(drop=True)


# --- files ------------------------------------------------------------------------------------------


def write_seeds(corpus: Corpus, params: Seeding, folder: Path) -> Path:
    """Make the order of each repeat and write ``order.parquet`` with its card into a folder."""
    order = stratified_order(corpus, params)
    rows = len(order) // params.repeats
    sizes = {f"seed of {size}": _class_counts(seed_rows(order, 0, size), corpus.classes) for size in params.sizes}
    card = Card(
        title=f"Nested seeds of {corpus.name}",
        what=(
            f"For each of {params.repeats} repeats one order of all {rows:,} training rows. The seed of size n is the rows with rank below n; "
            "the pool is the others. Holds identifiers and labels, no text."
        ),
        made=(
            f"Class-shuffled rows (numpy generator seeded by [{params.random_seed}, repeat]) interleaved so that every prefix is "
            f"nearly stratified; the smallest seed holds at least {params.min_per_class} rows of each class."
        ),
        sources=[Source(name=corpus.name, version=corpus.source, hash=corpus.hash)],
        columns={
            "repeat": "number of the independent series, from 0",
            "rank": "place in the order, from 0",
            "id": "row of the corpus",
            "label": "class that the row is stratified by; the rarest of several",
        },
        counts={"repeats": params.repeats, **sizes},
        limits=["Seeds are stratified: a seed collected in the wild would stray further from the shares of the corpus."],
        licence=corpus.licence,
        languages=corpus.languages,
        tags=["seeds", "few-shot"],
        citation=corpus.citation,
    )
    return write_table(order, folder / "order.parquet", card)


def load_order(folder: Path) -> pd.DataFrame:
    """Load the order that step 01 or 06 wrote into its folder: columns repeat, rank, id, label, sorted by repeat and rank."""
    return read_table(folder / "order.parquet", COLUMNS, stage="seeding" if folder.name == "seeds" else "tuning")


def _class_counts(rows: pd.DataFrame, classes: Sequence[str]) -> dict[str, int]:
    counts = rows["label"].value_counts()
    return {label: int(counts.get(label, 0)) for label in classes}


def describe_seeds(order: pd.DataFrame, corpus: Corpus, params: Seeding, examples: int = 1) -> dict[str, pd.DataFrame]:
    """Return tables that describe the seeds.

    Returns
    -------
    dict
        ``counts``: rows of each class in each seed (equal in all repeats) and in the pool left by the largest, with shares;
        ``overlap``: rows that seeds of two repeats share, on average, beside what chance would give;
        ``labels``: for multi-label corpora, rows that carry each label in the seeds of repeat 0;
        ``examples``: some rows of the smallest seed of repeat 0.
    """
    total = len(_of_repeat(order, 0))
    counts = pd.DataFrame({f"n = {size}": _class_counts(seed_rows(order, 0, size), corpus.classes) for size in params.sizes})
    counts["pool of the largest"] = pd.Series(_class_counts(pool_rows(order, 0, params.sizes[-1]), corpus.classes))
    counts["share of train"] = pd.Series(_class_counts(_of_repeat(order, 0), corpus.classes)) / total
    for size in params.sizes:
        counts[f"share at n = {size}"] = counts[f"n = {size}"] / size
    overlap = []
    for size in params.sizes:
        seeds = [set(seed_rows(order, repeat, size)["id"]) for repeat in range(params.repeats)]
        shared = [len(one & other) for position, one in enumerate(seeds) for other in seeds[:position]]
        shares = counts[f"n = {size}"] ** 2 / (counts["share of train"] * total)
        overlap.append(
            {"n": size, "rows shared by two repeats": float(np.mean(shared)) if shared else np.nan, "by chance": float(shares.sum())}
        )
    train = corpus.split("train").set_index("id")
    carried = {}
    for size in params.sizes:
        labels = train.loc[list(seed_rows(order, 0, size)["id"]), "labels"].explode().value_counts()
        carried[f"n = {size}"] = {label: int(labels.get(label, 0)) for label in corpus.classes}
    first = seed_rows(order, 0, params.sizes[0])
    shown = first.groupby("label", sort=False).head(examples)
    shown = shown.assign(text=[train.loc[identifier, "text"] for identifier in shown["id"]])
    place = {label: position for position, label in enumerate(corpus.classes)}
    shown = shown.sort_values("label", key=lambda column: column.map(place), kind="stable")
    return {
        "counts": counts.rename_axis("class"),
        "overlap": pd.DataFrame(overlap),
        "labels": pd.DataFrame(carried).rename_axis("class"),
        "examples": shown[["label", "id", "text"]].reset_index(drop=True),
    }
