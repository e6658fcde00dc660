"""What a corpus must be, checked before it is written and after it is read; and splits that are made once.

Splits are made by a fingerprint of each text: no random numbers, no dependence on the order of rows.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shlex
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from emosynth import text as texts
from emosynth.corpora.decoding import fault, some
from emosynth.corpora.spelling import plain
from emosynth.paths import repro

SPLITS = ("train", "validation", "test")
COLUMNS = ("id", "text", "labels", "split", "corpus")
Others = Callable[[], str]
_MORE_ROWS = "Give more rows of these classes, "


@functools.lru_cache(maxsize=200_000)
def fingerprint(text: str) -> str:
    """Return `emosynth.text.fingerprint`, sooner for plain texts; ids and splits of one corpus ask for the same ones."""
    if plain(text):  # and so are its small letters
        return hashlib.sha256(" ".join(text.split()).lower().encode()).hexdigest()
    return texts.fingerprint(text)


def position(text: str) -> float:
    """Return the place of a text in [0, 1), uniform over texts."""
    return int(fingerprint(text)[:13], 16) / 16**13


def split_of(text: str, fractions: Sequence[float]) -> str:
    """Return the split of a text; ``fractions`` are the shares of train, validation and test."""
    place = position(text)
    return "train" if place < fractions[0] else "validation" if place < fractions[0] + fractions[1] else "test"


FEW = 5
"""Rows from which a class is one that can be learnt and scored; what has fewer is for a person to decide."""


def with_every_class(texts: Sequence[str], labels: Sequence[Iterable[str]], splits: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return splits by hash of which test has a row of every class that has a few, and the classes of which one was moved there.

    Moved is the row whose hash stands nearest to those of the test split. Where hashes give each class a row, all stays as it is.
    """
    out, rows = list(splits), defaultdict(list)
    for row, held in enumerate(labels):
        for label in held:
            rows[label].append(row)
    moved = [label for label, own in sorted(rows.items()) if len(own) >= FEW and all(splits[row] != "test" for row in own)]
    for label in moved:
        if all(out[row] != "test" for row in rows[label]):  # a row of several labels may have come with another of them
            out[max(rows[label], key=lambda row: position(texts[row]))] = "test"
    return out, moved


def total_of(classes: Iterable[str]) -> str:
    """Return the name that all classes together have among them: ``all``, in brackets where a class is called so."""
    known, name = set(classes), "all"
    while name in known:
        name = f"({name})"
    return name


def validate(
    frame: pd.DataFrame, classes: Sequence[str], task: str, where: str, rows: Sequence[str] | None = None, others: Others = lambda: ""
) -> None:
    """Check a corpus.

    Parameters
    ----------
    frame
        Columns id, text, labels (lists), split, corpus.
    classes
        The classes allowed.
    task
        "single" or "multi".
    where
        The file concerned, for errors.
    rows
        What to call each row in errors; None: its id.
    others
        Tells other shares of the splits that work, see `every_class`.

    Raises
    ------
    UserError
        For the first rule that is broken, with the rows that break it.
    """
    if lacking := [column for column in COLUMNS if column not in frame.columns]:
        raise fault(f"The corpus lacks the columns {some(lacking)}.", where, f"Make the corpora again: {repro('00_corpora', again=True)}")
    if frame.empty:
        raise fault("The corpus has no rows.", where, "Give a file with at least a few rows of each class.")
    ids, held, given, splits = (frame[column].tolist() for column in ("id", "text", "labels", "split"))
    known = set(classes)
    seen = {label for labels in given for label in labels}
    single = "Set label_separator for a corpus with several labels a row."
    for what, bad, remedy in (
        ("Some rows have no text.", [not isinstance(text, str) or not text.strip() for text in held], "Fill or drop these rows."),
        ("Some ids occur more than once.", pd.Series(ids).duplicated(keep=False).tolist(), "Give every row an id of its own."),
        ("Some rows have no label.", [len(labels) == 0 for labels in given], "Label or drop these rows."),
        (
            f"Labels that are not among the classes: {some(sorted(seen - known))}. The classes are {some(classes, 30)}.",
            [not known.issuperset(labels) for labels in given] if seen - known else [],
            "Correct the labels, or list them under classes.",
        ),
        ("Some rows have several labels.", [len(labels) != 1 for labels in given] if task == "single" else [], single),
        ("Some rows have one label twice.", [len(set(labels)) != len(labels) for labels in given], "Name each label once."),
        (
            f"Some rows have an unknown split; known are {some(SPLITS)}.",
            [split not in SPLITS for split in splits],
            "Correct the split column.",
        ),
    ):
        if any(bad):
            names = list(rows) if rows is not None else [f"id {item}" for item in ids]
            raise fault(what, f"{where}: {some([name for name, is_bad in zip(names, bad, strict=True) if is_bad])}", remedy)
    if len(known) < 2 or len(seen) < 2:
        remedy = "A classifier needs at least two; check which column holds the labels."
        raise fault(f"The corpus has one class only: {some(sorted(seen))}.", where, remedy)
    if empty := [split for split in SPLITS if split not in set(splits)]:
        remedy = "Give more rows, or a split column that has rows of train, validation and test"
        remedy += f"; without such a column corpora.fractions says how many: {shares}" if (shares := others()) else "."
        raise fault(f"The {empty[0]} split has no rows.", where, remedy)
    if absent := _lacking(given, splits, "train", classes):
        shares = f"other splits ({shares}), " if (shares := others()) else ""
        remedy = f"{_MORE_ROWS}{shares}{_without(absent)}"
        raise fault(f"The training split has no row of {some(absent)}.", where, remedy)


def _without(classes: Sequence[str]) -> str:
    """Return how classes are left out, by name."""
    names = json.dumps(dict.fromkeys(classes), ensure_ascii=False)
    return f"or leave them out: --class-names {shlex.quote(names)} (corpora.custom.class_names)."


def _lacking(given: Iterable[Iterable[str]], splits: Iterable[str], split: str, classes: Sequence[str]) -> list[str]:
    """Return the classes of which a split has no row."""
    held = {label for labels, other in zip(given, splits, strict=True) if other == split for label in labels}
    return [label for label in classes if label not in held]


def every_class(frame: pd.DataFrame, classes: Sequence[str], where: str, others: Others = lambda: "") -> list[str]:
    """Return what is to be said of classes that the validation split lacks.

    Parameters
    ----------
    others
        Tells other shares of the splits by which test has every class, as they are written; empty: there are none, or the splits are the corpus's own.

    Raises
    ------
    UserError
        If the test split lacks a class: its F1 would count as 0 in every macro-average, however good a classifier is.
    """
    given, splits = frame["labels"].tolist(), frame["split"].tolist()
    if lacking := _lacking(given, splits, "test", classes):
        shares = f"other splits ({shares}), " if (shares := others()) else ""
        remedy = f"{_MORE_ROWS}{shares}{_without(lacking)}"
        raise fault(f"The test split has no row of {some(lacking)}, so no score could count it.", where, remedy)
    lacking = _lacking(given, splits, "validation", classes)
    return [f"The validation split has no row of {some(lacking, 30)}."] if lacking else []
