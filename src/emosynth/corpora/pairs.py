"""Rows of JSON that are lists: pairs of text and label, what spaCy learns from, or a header and its rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from emosynth.corpora.decoding import Notes
from emosynth.corpora.headers import LABEL_COLUMNS, TEXT_COLUMNS

_KNOWN = {*TEXT_COLUMNS, *LABEL_COLUMNS}


def objects_of_lists(records: Sequence[Any], places: Iterable[int], notes: Notes) -> tuple[Sequence[Any], Iterable[int]]:
    """Return records that are lists as objects, with their places; records of any other kind, and lists that leave it open what they hold, as they are.

    Read are lists of one length below a list of names (``["text", "label"]``), and of two, of which one is a text and the other a label, a list
    of labels, or what spaCy writes (``{"cats": {"joy": 1.0}}``). Which of the two is the text is told by their words.
    """
    if len(records) < 2 or not all(isinstance(record, list) and len(record) == len(records[0]) >= 2 for record in records):
        return records, places
    head, numbers = records[0], list(places)
    if all(isinstance(name, str) for name in head) and len(set(head)) == len(head) and _names(head, records[1:]):
        notes.found("layout", "lists, of which the first names the columns", "path")
        return [dict(zip(head, record, strict=True)) for record in records[1:]], numbers[1:]
    if len(head) != 2:
        return records, places
    first, second = ([record[place] for record in records] for place in (0, 1))
    if _are_texts(second) and _are_labels(first) and not (_are_texts(first) and _words(first) >= _words(second)):
        first, second = second, first
    if not _are_texts(first):
        return records, places
    if all(isinstance(cell, dict) and isinstance(cell.get("cats"), dict) for cell in second):
        notes.found("layout", "pairs of a text and its classes (cats), as spaCy writes", "path")
        return [{"text": text, "cats": cell["cats"]} for text, cell in zip(first, second, strict=True)], numbers
    if not _are_labels(second):
        return records, places
    notes.found("layout", "pairs of a text and its label", "path")
    return [{"text": text, "label": label} for text, label in zip(first, second, strict=True)], numbers


def _names(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> bool:
    """Return whether the first row names columns: some are names that are known, and none is a value of its column."""
    known = bool(_KNOWN & {name.strip().lower() for name in head})
    return known and not any(row[place] == name for place, name in enumerate(head) for row in rows)


def _are_texts(cells: Sequence[Any]) -> bool:
    return all(cell is None or isinstance(cell, str) for cell in cells) and any(cells)


def _are_labels(cells: Sequence[Any]) -> bool:
    """Return whether all cells may be labels: words, numbers, lists of these, shares."""
    return all(
        cell is None
        or isinstance(cell, str | int | float)
        or (isinstance(cell, list) and all(isinstance(one, str | int | float) for one in cell))
        or (isinstance(cell, dict) and cell and all(isinstance(one, int | float) for one in cell.values()))
        for cell in cells
    )


def _words(cells: Sequence[Any]) -> int:
    return sum(len(str(cell).split()) for cell in cells)
