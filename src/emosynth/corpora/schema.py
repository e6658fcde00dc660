"""What a corpus must be, checked before it is written and after it is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from emosynth.corpora.splits import SPLITS
from emosynth.errors import UserError
from emosynth.paths import repro

COLUMNS = ("id", "text", "labels", "split", "corpus")


def some(items: Iterable[object], limit: int = 5) -> str:
    """Return the first items as a list in words."""
    items = list(items)
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(str(item) for item in items[:limit]) + more


def total_of(classes: Iterable[str]) -> str:
    """Return the name that all classes together have among them: ``all``, in brackets where a class is called so."""
    known, name = set(classes), "all"
    while name in known:
        name = f"({name})"
    return name


def validate(frame: pd.DataFrame, classes: Sequence[str], task: str, where: str, rows: Sequence[str] | None = None) -> None:
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

    Raises
    ------
    UserError
        For the first rule that is broken, with the rows that break it.
    """
    lacking = [column for column in COLUMNS if column not in frame.columns]
    if lacking:
        raise UserError(
            f"The corpus lacks the columns {some(lacking)}.",
            where=where,
            remedy=f"Make the corpora again: {repro('00_corpora', again=True)}",
        )
    if frame.empty:
        raise UserError("The corpus has no rows.", where=where, remedy="Give a file with at least a few rows of each class.")
    names = list(rows) if rows is not None else [f"id {item}" for item in frame["id"]]

    def fail(bad: Sequence[bool], what: str, remedy: str) -> None:
        found = [name for name, is_bad in zip(names, bad, strict=True) if is_bad]
        if found:
            raise UserError(what, where=f"{where}: {some(found)}", remedy=remedy)

    fail([not isinstance(text, str) or not text.strip() for text in frame["text"]], "Some rows have no text.", "Fill or drop these rows.")
    fail(list(frame["id"].duplicated(keep=False)), "Some ids occur more than once.", "Give every row an id of its own.")
    fail([len(labels) == 0 for labels in frame["labels"]], "Some rows have no label.", "Label or drop these rows.")
    known = set(classes)
    strange = sorted({label for labels in frame["labels"] for label in labels} - known)
    fail(
        [any(label not in known for label in labels) for labels in frame["labels"]],
        f"Labels that are not among the classes: {some(strange)}. The classes are {some(classes, 30)}.",
        "Correct the labels, or list them under classes.",
    )
    if task == "single":
        fail(
            [len(labels) != 1 for labels in frame["labels"]],
            "Some rows have several labels.",
            "Set label_separator for a corpus with several labels a row.",
        )
    fail([len(set(labels)) != len(labels) for labels in frame["labels"]], "Some rows have one label twice.", "Name each label once.")
    fail(
        [split not in SPLITS for split in frame["split"]],
        f"Some rows have an unknown split; known are {some(SPLITS)}.",
        "Correct the split column.",
    )
    if len(known) < 2 or frame["labels"].explode().nunique() < 2:
        raise UserError(
            f"The corpus has one class only: {some(sorted(frame['labels'].explode().unique()))}.",
            where=where,
            remedy="A classifier needs at least two; check which column holds the labels.",
        )
    for split in SPLITS:
        if not (frame["split"] == split).any():
            raise UserError(
                f"The {split} split has no rows.",
                where=where,
                remedy="Give more rows, other corpora.fractions, or a split column with train, validation and test.",
            )
    training = set(frame.loc[frame["split"] == "train", "labels"].explode())
    absent = [label for label in classes if label not in training]
    if absent:
        raise UserError(
            f"The training split has no row of {some(absent)}.",
            where=where,
            remedy="Give more rows of these classes, or leave them out of the classes.",
        )


def every_class(frame: pd.DataFrame, classes: Sequence[str], where: str) -> list[str]:
    """Return what is to be said of classes that the validation split lacks.

    Raises
    ------
    UserError
        If the test split lacks a class: its F1 would count as 0 in every macro-average, however good a classifier is.
    """
    held = {split: set(frame.loc[frame["split"] == split, "labels"].explode()) for split in ("validation", "test")}
    lacking = {split: [label for label in classes if label not in held[split]] for split in held}
    if lacking["test"]:
        raise UserError(
            f"The test split has no row of {some(lacking['test'])}, so no score could count it.",
            where=where,
            remedy="Give more rows of these classes, other corpora.fractions, or leave them out (class_names: {label: null}).",
        )
    return [f"The validation split has no row of {some(lacking['validation'], 30)}."] if lacking["validation"] else []
