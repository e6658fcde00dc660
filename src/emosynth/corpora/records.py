"""Rows of JSON: one object a line, an array of them, or one object that holds rows, columns, splits, classes or texts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from emosynth.corpora.decoding import AFRESH, Notes, bounded, broken, fault
from emosynth.corpora.files import SPLIT_NAMES
from emosynth.corpora.headers import LABEL_COLUMNS, TEXT_COLUMNS
from emosynth.corpora.pairs import objects_of_lists

_ONE_OBJECT = ("Write an array of objects, or one object a line.", "Write one JSON object a line.")
_BLANK = re.compile(r"\s*")
_CLOSES = {"[": "]", "{": "}"}
_WORDS = 2.5
"""Words, on average, from which strings are texts, and no names of classes."""


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; a key that stands twice is a ValueError."""
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice")
    return made


def _cut_off(body: str, error: Exception) -> bool:
    """Return whether JSON is faulty for want of its end."""
    body = body.rstrip()
    if not isinstance(error, json.JSONDecodeError) or _stands_after(error) or body.endswith(_CLOSES.get(body[:1], "\0")):
        return False
    return error.msg.startswith("Unterminated string") or error.pos >= len(body) - 6


def read_records(path: Path, text: str, notes: Notes) -> tuple[Sequence[Any], Iterable[int], str, str]:
    """Return the records of a JSON array of objects, of one object a line, or of one object; their places, unit and format.

    Records that are lists, such as pairs of text and label, become objects (`emosynth.corpora.pairs`).
    """
    records, places, unit, kind = _read(path, text, notes)
    return *objects_of_lists(records, places, notes), unit, kind


def _read(path: Path, text: str, notes: Notes) -> tuple[Sequence[Any], Iterable[int], str, str]:
    body = text.lstrip()
    bounded(0, path, rows=text.count("\n"), values=sum(map(text.count, ",[{")))
    lines = {number: line for number, line in enumerate(text.split("\n"), start=1) if line.strip()}
    if body[0] == "[" or len(lines) == 1 or (body[0] == "{" and next(iter(lines.values())).strip() == "{"):
        try:
            whole = json.loads(body, object_pairs_hook=once)
        except (ValueError, RecursionError) as error:
            if (found := _one_after_another(body, error, notes)) is not None:
                return found, range(1, len(found) + 1), "item", "jsonl"
            at = text[: len(text) - len(body)].count("\n") + getattr(error, "lineno", 1)
            if _cut_off(body, error):
                raise broken(f"Not JSON: it looks cut off, for its end is missing ({error}).", path, at, AFRESH) from None
            raise broken(f"Not JSON: {error}.", path, at, f"Write one array of objects, or one object a line.{_whole(error)}") from None
        records = whole if isinstance(whole, list) else _records_of(whole, path, notes)
        return records, range(1, len(records) + 1), "item", "json"
    found = []
    for number, line in lines.items():
        try:
            found.append(json.loads(line, object_pairs_hook=once))
        except (ValueError, RecursionError) as error:
            if number == max(lines) and _cut_off(line.lstrip(), error):
                what = f"Not a JSON object: the last line looks cut off ({error})"
                raise broken(what, path, number, f"{AFRESH} Rows that were lost are not told otherwise.") from None
            if (values := _one_after_another(body, error, notes)) is not None:
                return values, range(1, len(values) + 1), "item", "jsonl"
            comma = "Take away the commas at the ends of lines. " if line.rstrip().endswith(",") else ""
            raise broken(f"Not a JSON object: {error}", path, number, f"{comma}{_ONE_OBJECT[1]}{'' if comma else _whole(error)}") from None
    return found, lines, "line", "jsonl"


def _whole(error: Exception) -> str:
    return " Objects that stand one after another ({…}{…}) are read if each is whole." if _stands_after(error) else ""


def _stands_after(error: Exception) -> bool:
    return isinstance(error, json.JSONDecodeError) and error.msg == "Extra data"


def _one_after_another(body: str, error: Exception, notes: Notes) -> list[Any] | None:
    """Return objects, or lists, that stand one after another with nothing but blanks between (``{…}{…}``); None: it is something else."""
    if not _stands_after(error):
        return None
    read, found, at = json.JSONDecoder(object_pairs_hook=once).raw_decode, list[Any](), 0
    try:
        while at < len(body):
            value, at = read(body, at)
            found.append(value)
            at = _BLANK.match(body, at).end()  # type: ignore[union-attr]  # blanks may be none, so that it always matches
    except (ValueError, RecursionError):
        return None
    kinds = set(map(type, found))
    if kinds not in ({dict}, {list}):
        return None
    notes.found("layout", f"{len(found):,} {'objects' if kinds == {dict} else 'lists'} of JSON one after another", "path")
    return found


def _wordy(texts: Sequence[str]) -> bool:
    return bool(texts) and sum(len(text.split()) for text in texts) >= _WORDS * len(texts)


def _records_of(whole: Any, path: Path, notes: Notes) -> list[Any]:
    if isinstance(whole, dict):
        values = list(whole.values())
        rows = [value for value in values if isinstance(value, list) and value and all(isinstance(item, dict) for item in value)]
        if len(rows) == 1:
            return rows[0]
        if len(rows) == len(values) > 1 and all(key.lower() in SPLIT_NAMES for key in whole):
            notes.found("layout", "a list of rows for each split", "path")
            return [row | {"split": row.get("split", key)} for key, held in whole.items() for row in held]
        names, cells = whole.get("columns"), whole.get("data")
        if isinstance(names, list) and isinstance(cells, list) and all(isinstance(row, list) and len(row) == len(names) for row in cells):
            return [dict(zip(map(str, names), row, strict=True)) for row in cells]  # as pandas writes orient="split"
        if (made := _by_class(whole, path, notes)) is not None:
            return made
        if values and all(isinstance(value, list) and len(value) == len(values[0]) for value in values):
            return [dict(zip(whole, row, strict=True)) for row in zip(*values, strict=True)]
        if len(values) > 1 and all(isinstance(value, dict) and list(value) == list(values[0]) for value in values):
            if len(values) > len(values[0]):
                return values  # a row under each key
            return [{name: column[key] for name, column in whole.items()} for key in values[0]]
        if (made := _by_text(whole, notes)) is not None:
            return made
        if any(isinstance(value, str) for value in values):
            return [whole]
    raise fault(f"The JSON holds no rows but one {'object' if isinstance(whole, dict) else type(whole).__name__}.", path, _ONE_OBJECT[0])


def _by_class(whole: dict[str, Any], path: Path, notes: Notes) -> list[Any] | None:
    """Return the rows of ``{"joy": [texts], "anger": [texts]}``; None: it is something else.

    Raises
    ------
    UserError
        If the lists are of one length: they may be columns as well.
    """
    lists = [value for value in whole.values() if isinstance(value, list) and all(isinstance(item, str) for item in value)]
    if len(lists) < max(2, len(whole)) or not all(map(_wordy, lists)) or {*TEXT_COLUMNS, *LABEL_COLUMNS} & {key.lower() for key in whole}:
        return None
    if len(set(map(len, lists))) == 1:
        what = f"The JSON holds {len(lists)} lists of texts of one length: they may be columns, or classes with their texts."
        raise fault(
            what, path, 'If each key is a class, write one object a text: {"text": "…", "label": "…"}; else add a column of labels.'
        )
    notes.found("layout", "each key is a class, with a list of its texts", "path")
    return [{"text": text, "label": key} for key, texts in whole.items() for text in texts]


def _by_text(whole: dict[str, Any], notes: Notes) -> list[Any] | None:
    """Return the rows of ``{"a text": "joy", "another one": "anger"}``; None: it is something else."""
    values = list(whole.values())
    if len(values) < 4 or not all(isinstance(value, str) for value in values) or not _wordy(list(whole)):
        return None
    if 2 * len(set(values)) > len(values):
        return None
    notes.found("layout", "each key is a text, and its value the label", "path")
    return [{"text": text, "label": label} for text, label in whole.items()]
