"""Rows of corpora.

Texts are normalised (`emosynth.text.normalise`) while they are read: data frames could not hold some of what raw files contain.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

SPLIT_NAMES = {
    "train": "train", "training": "train", "test": "test", "testing": "test", "validation": "validation", "val": "validation", "valid": "validation",
    "dev": "validation", "devel": "validation", "eval": "validation", "evaluation": "validation",
}  # fmt: skip
"""What splits are called, and which they are."""


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled text.

    Attributes
    ----------
    split
        None where the corpus has none of its own.
    place
        Where it stands upstream, for errors.
    group
        What must not be in two splits, such as a person, where splits are made here; empty: the text itself.
    dialogue
        Dialogue that it is an utterance of; empty: none.
    context
        What was said before in the dialogue, oldest first, as ``speaker: utterance``.
    shares
        Label and share that annotators gave it; empty: they agree, or were not counted.
    """

    id: str
    text: str
    labels: tuple[str, ...]
    split: str | None
    place: str
    group: str = ""
    dialogue: str = ""
    context: tuple[str, ...] = ()
    shares: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Loaded:
    """What a reader found.

    Attributes
    ----------
    dropped
        Reason -> rows left out.
    notes
        What was found in the file or is odd about it, a sentence each, without lines or texts.
    conflicts
        Of a user's own file: texts that stood with several labels, their rows, and what was done.
    language
        What goes before the parameters' word for it; empty: nothing.
    """

    rows: list[Row]
    classes: list[str]
    task: str
    where: str
    dropped: dict[str, int]
    notes: tuple[str, ...] = ()
    conflicts: dict[str, Any] | None = None
    language: str = ""


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep the collector of cycles off, also as a decorator: it would look again and again through all rows of a large file, which hold none."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def distinct(rows: Iterable[Row]) -> list[Row]:
    """Give rows that share an id a suffix from the second on."""
    seen: dict[str, int] = {}
    result = []
    for row in rows:
        count = seen[row.id] = seen.get(row.id, 0) + 1
        result.append(row if count == 1 else replace(row, id=f"{row.id}-{count}"))
    return result
