"""Nested stratified seeds: one order of all training rows for each repeat.

A seed of size *n* is the first *n* rows of the order, its pool the rest. Hence a larger seed of a repeat holds every smaller
one, and a real expansion of a seed is simply the rows that come next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from emosynth.cards import Card, Source, read_table, write_table
from emosynth.corpora import Corpus, load_corpus
from emosynth.corpora.schema import some
from emosynth.design.cells import Cell
from emosynth.errors import UserError
from emosynth.params import Cells, Params
from emosynth.paths import Paths, repro
from emosynth.progress import counted, say

COLUMNS = ["corpus", "repeat", "rank", "id", "label"]


@dataclass(frozen=True)
class Seed:
    """The rows of one seed.

    Attributes
    ----------
    cell
        Which seed.
    ids, texts, labels
        n rows in rank order; of each row all labels that the corpus gives it.
    """

    cell: Cell
    ids: list[str]
    texts: list[str]
    labels: list[list[str]]


def primary_labels(rows: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """Return the label that each row is stratified by: its only one, or of several the rarest in ``rows``.

    Rarest first gives rare emotions of a multi-label corpus their due, which a stratification by first label would not.
    Of equally rare labels the one that comes first in ``classes`` is taken.
    """
    counts = Counter(label for labels in rows["labels"] for label in labels)
    place = {label: position for position, label in enumerate(classes)}
    return [min(labels, key=lambda label: (counts[label], place[label])) for labels in rows["labels"]]


def stratified_order(corpus: Corpus, cells: Cells) -> pd.DataFrame:
    """Order all training rows of a corpus, once for each repeat, so that every prefix is nearly stratified.

    The rows of each class are shuffled; the first ``min_per_class`` rows of every class are sure to be among the first rows that
    make the smallest seed; after that, the class that lags most behind its share of the corpus comes next.

    Parameters
    ----------
    corpus
        Only its training rows are looked at; their order does not matter.
    cells
        Sizes, repeats, rows of each class that the smallest seed holds at least, random seed.

    Returns
    -------
    DataFrame
        Columns corpus, repeat (from 0), rank (from 0), id, label (see `primary_labels`); sorted by repeat and rank.

    Raises
    ------
    UserError
        If a seed is larger than the training split, or a class has too few rows.
    """
    train = corpus.split("train").sort_values("id", kind="stable")
    labels = primary_labels(train, corpus.classes)
    counts = {label: labels.count(label) for label in corpus.classes}
    check_seeds(corpus.name, counts, cells)
    members: dict[str, list[str]] = {label: [] for label in corpus.classes}
    for identifier, label in zip(train["id"], labels, strict=True):
        members[label].append(identifier)
    sequence = interleave(counts, cells.min_per_class_of(corpus.name), cells.sizes_of(corpus.name)[0])
    frames = []
    for repeat in range(cells.repeats_of(corpus.name)):
        rng = np.random.default_rng([cells.random_seed, repeat])
        queues = {label: iter([rows[position] for position in rng.permutation(len(rows))]) for label, rows in members.items()}
        ids = [next(queues[label]) for label in sequence]
        frames.append(pd.DataFrame({"corpus": corpus.name, "repeat": repeat, "rank": np.arange(len(ids)), "id": ids, "label": sequence}))
    return pd.concat(frames, ignore_index=True)[COLUMNS]


def check_seeds(name: str, counts: Mapping[str, int], cells: Cells) -> None:
    rows, sizes, least = sum(counts.values()), cells.sizes_of(name), cells.min_per_class_of(name)
    own = f"cells.per.{name}"
    too_large = [size for size in sizes if size > rows]
    if too_large:
        raise UserError(
            f"Seeds of {some(too_large)} rows were asked for; {name} has {rows} training rows.",
            where=f"cells.sizes or {own}.sizes",
            remedy=f"Ask for at most {rows}: set {own}.sizes.",
        )
    short = {label: count for label, count in counts.items() if count < least}
    if short:
        fewest = min(short.values())
        raise UserError(
            f"Every seed must hold {least} rows of each class, but {name} has only "
            + some([f"{count} of {label}" for label, count in short.items()])
            + " among its training rows (a row with several labels counts for its rarest).",
            where=f"cells.min_per_class or {own}.min_per_class",
            remedy=(f"Set {own}.min_per_class: {fewest}, or " if fewest else "") + "merge or leave out the rare classes.",
        )
    needed = least * len(counts)
    if sizes[0] < needed:
        fits = sizes[0] // len(counts)
        raise UserError(
            f"A seed of {sizes[0]} rows cannot hold {least} rows of each of the {len(counts)} classes of {name}.",
            where=f"cells.sizes or {own}.sizes",
            remedy=f"Let its smallest size be at least {needed}"
            + (f", or set {own}.min_per_class: {fits}." if fits else f": set {own}.sizes."),
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


def _of_series(order: pd.DataFrame, corpus: str, repeat: int) -> pd.DataFrame:
    rows = order[(order["corpus"] == corpus) & (order["repeat"] == repeat)]
    if rows.empty:
        known = sorted(int(value) for value in order.loc[order["corpus"] == corpus, "repeat"].unique())
        raise UserError(
            f"There is no repeat {repeat} of {corpus}; there are {some(known, 3) or 'none'}.",
            where="the order of seeds",
            remedy=f"Correct cells.repeats or the corpus, and run: {repro()}",
        )
    return rows


def _checked(order: pd.DataFrame, cell: Cell) -> pd.DataFrame:
    rows = _of_series(order, cell.corpus, cell.repeat)
    if not 1 <= cell.size <= len(rows):
        raise UserError(
            f"A seed of {cell.size} rows of {cell.corpus} was asked for; there are {len(rows)} training rows.",
            where="cells.sizes",
            remedy="Ask for no more.",
        )
    return rows


def seed_rows(order: pd.DataFrame, cell: Cell) -> pd.DataFrame:
    """Return the seed of a cell: the first rows of its order."""
    return _checked(order, cell).iloc[: cell.size].reset_index(drop=True)


def pool_rows(order: pd.DataFrame, cell: Cell, count: int | None = None) -> pd.DataFrame:
    """Return the ``count`` rows that come after the seed (None: all); fewer if the pool is smaller, which the caller must tell."""
    rows = _checked(order, cell)
    return rows.iloc[cell.size : None if count is None else cell.size + count].reset_index(drop=True)


def balanced_pool_rows(order: pd.DataFrame, cell: Cell, count: int, classes: Sequence[str] | None = None) -> pd.DataFrame:
    """Return ``count`` rows of the pool with as equal numbers of each class as the pool allows.

    A class that runs out gives its places to the others, so that the number of rows stays ``count`` while the pool lasts.

    Parameters
    ----------
    order, cell, count
        As in `pool_rows`.
    classes
        Order of classes, which settles who gets the odd rows; None: by name.
    """
    pool = pool_rows(order, cell)
    names = list(classes) if classes is not None else sorted(pool["label"].unique())
    # round k takes the k-th pool row of each class
    turn = pool.groupby("label", sort=False).cumcount()
    place = pool["label"].map({label: position for position, label in enumerate(names)})
    chosen = pool.assign(_turn=turn, _place=place).sort_values(["_turn", "_place"], kind="stable").head(count)
    return chosen.drop(columns=["_turn", "_place"]).reset_index(drop=True)


def load_seed(corpus: Corpus, order: pd.DataFrame, cell: Cell) -> Seed:
    """Return the rows of a seed with their texts and labels.

    Raises
    ------
    UserError
        If the order names a row that is not a training row of the corpus.
    """
    rows = seed_rows(order, cell)
    train = corpus.frame[corpus.frame["split"] == "train"].set_index("id")
    ids = [str(item) for item in rows["id"]]
    strange = [item for item in ids if item not in train.index]
    if strange:
        raise UserError(
            f"{len(strange)} seed rows are not training rows of {corpus.name}.",
            where=f"{cell}: {strange[0]}",
            remedy=f"Make the seeds again: {repro('01_seeding', again=True)}",
        )
    found = train.loc[ids]
    return Seed(cell, ids, [str(text) for text in found["text"]], [list(labels) for labels in found["labels"]])


# --- files ------------------------------------------------------------------------------------------


def build_orders(params: Params, paths: Paths) -> pd.DataFrame:
    """Order the training rows of every corpus of a profile, and write ``order.parquet`` with its card into ``paths.seeds``."""
    frames, counts, corpora = [], {}, []
    for name in params.corpora.names:
        corpus = load_corpus(paths, name, ["train"])
        corpora.append(corpus)
        frames.append(stratified_order(corpus, params.cells))
        for size in params.cells.sizes_of(name):
            counts[f"{name}, seed of {size}"] = {"rows": size, **_class_counts(seed_rows(frames[-1], Cell(name, 0, size)), corpus.classes)}
        say(f"{name}: {counted(params.cells.repeats_of(name), 'order')} of {counted(len(corpus.frame), 'training row')}")
    order = pd.concat(frames, ignore_index=True)
    card = Card(
        title="Nested seeds",
        what=(
            "For each corpus and repeat one order of all training rows. The seed of size n is the rows with rank below n; "
            "the pool is the others. Holds identifiers and labels, no text."
        ),
        made=(
            f"Step 01 (seeding). Class-shuffled rows (numpy generator seeded by [{params.cells.random_seed}, repeat]) interleaved so that every "
            "prefix is nearly stratified; the smallest seed holds at least "
            + ", ".join(f"{params.cells.min_per_class_of(name)} rows of each class of {name}" for name in params.corpora.names)
            + "."
        ),
        sources=[Source(name=corpus.name, version=corpus.source, hash=corpus.hash) for corpus in corpora],
        columns={
            "corpus": "name of the corpus",
            "repeat": "number of the independent series, from 0",
            "rank": "place in the order, from 0",
            "id": "row of the corpus",
            "label": "class that the row is stratified by; the rarest of several",
        },
        counts=counts,
        limits=["Seeds are stratified: a seed collected in the wild would stray further from the shares of the corpus."],
        licence="; ".join(dict.fromkeys(corpus.licence or "unknown" for corpus in corpora)),
        languages=list(dict.fromkeys(language for corpus in corpora for language in corpus.languages)),
        tags=["seeds", "few-shot"],
        citation="\n\n".join(dict.fromkeys(corpus.citation for corpus in corpora if corpus.citation)),
    )
    write_table(order, paths.seeds / "order.parquet", card)
    return order


def load_order(paths: Paths) -> pd.DataFrame:
    """Load the orders that step 01 wrote: columns corpus, repeat, rank, id, label, sorted by corpus, repeat and rank."""
    return read_table(paths.seeds / "order.parquet", COLUMNS, stage="seeding")


def _class_counts(rows: pd.DataFrame, classes: Sequence[str]) -> dict[str, int]:
    counts = rows["label"].value_counts()
    return {label: int(counts.get(label, 0)) for label in classes}


def describe_seeds(order: pd.DataFrame, corpus: Corpus, cells: Cells, examples: int = 1) -> dict[str, pd.DataFrame]:
    """Return tables that describe the seeds of one corpus.

    Returns
    -------
    dict
        ``counts``: rows of each class in each seed (equal in all repeats) and in the pool left by the largest, with shares;
        ``overlap``: rows that seeds of two repeats share, on average, beside what chance would give;
        ``labels``: for multi-label corpora, rows that carry each label in the seeds of repeat 0;
        ``examples``: some rows of the smallest seed of repeat 0.
    """
    name, sizes = corpus.name, cells.sizes_of(corpus.name)
    whole = _class_counts(_of_series(order, name, 0), corpus.classes)
    total = sum(whole.values())
    first = {size: Cell(name, 0, size) for size in sizes}
    counts = pd.DataFrame({f"n = {size}": _class_counts(seed_rows(order, cell), corpus.classes) for size, cell in first.items()})
    counts["pool of the largest"] = pd.Series(_class_counts(pool_rows(order, first[sizes[-1]]), corpus.classes))
    counts["share of train"] = pd.Series(whole) / total
    overlap = []
    for size in sizes:
        counts[f"share at n = {size}"] = counts[f"n = {size}"] / size
        seeds = [set(seed_rows(order, Cell(name, repeat, size))["id"]) for repeat in range(cells.repeats_of(name))]
        shared = [len(one & other) for position, one in enumerate(seeds) for other in seeds[:position]]
        shares = counts[f"n = {size}"] ** 2 / (counts["share of train"] * total)
        overlap.append(
            {"n": size, "rows shared by two repeats": float(np.mean(shared)) if shared else np.nan, "by chance": float(shares.sum())}
        )
    carried = {}
    for size, cell in first.items():
        labels = Counter(label for row in load_seed(corpus, order, cell).labels for label in row)
        carried[f"n = {size}"] = {label: labels[label] for label in corpus.classes}
    shown = seed_rows(order, first[sizes[0]]).groupby("label", sort=False).head(examples)
    texts = corpus.frame.set_index("id")["text"]
    shown = shown.assign(text=[texts[identifier] for identifier in shown["id"]])
    place = {label: position for position, label in enumerate(corpus.classes)}
    shown = shown.sort_values("label", key=lambda column: column.map(place), kind="stable")
    return {
        "counts": counts.rename_axis("class"),
        "overlap": pd.DataFrame(overlap),
        "labels": pd.DataFrame(carried).rename_axis("class"),
        "examples": shown[["label", "id", "text"]].reset_index(drop=True),
    }
