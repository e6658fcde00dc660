"""Which columns of a table hold texts, labels and splits: by name, number or dotted path, or guessed."""

from __future__ import annotations

import ast
import difflib
import functools
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from emosynth.corpora.decoding import Notes
from emosynth.corpora.files import SPLIT_NAMES
from emosynth.corpora.schema import some
from emosynth.corpora.tables import ABSENT, LABEL_COLUMNS, SPLIT_COLUMNS, TEXT_COLUMNS, Table, simple
from emosynth.errors import UserError

_LOOKED_AT = 2000
"""Rows that guesses look at."""

_WORDS = re.compile(r"[\[{(]\s*([^\[\]{}()]*?)\s*[\]})]", re.DOTALL)
_QUOTED = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""")


@functools.lru_cache(maxsize=200_000)
def literal(cell: str) -> Any:
    """Return what a cell such as ``['joy', 'anger']``, ``["joy"]``, ``['joy' 'anger']``, ``[joy, anger]`` or ``{…}`` holds; None: it is a word.

    JSON, Python, numpy and PostgreSQL write lists so. The result is shared and must not be changed.
    """
    cell = cell.strip()
    if len(cell) < 2 or cell[0] + cell[-1] not in ("[]", "{}", "()") or len(cell) > 5000:
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(cell)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        # Python joins 'joy' 'anger', as numpy prints them, into one word
        if not (isinstance(value, list) and len(value) == 1 and isinstance(value[0], str) and len(_QUOTED.findall(cell)) > 1):
            return (
                sorted(value, key=str) if isinstance(value, set | frozenset) else list(value) if isinstance(value, tuple) else _plain(value)
            )
        break
    inside = _WORDS.fullmatch(cell)
    if inside is None or cell[0] == "(":
        return None
    quoted = _QUOTED.findall(inside[1])
    if quoted and not _QUOTED.sub("", inside[1]).strip(" \n\t,"):
        return [one or two for one, two in quoted]
    return [part.strip().strip("'\"") for part in inside[1].split(",") if part.strip()] if ":" not in inside[1] else None


def _plain(value: Any) -> Any:
    return value if isinstance(value, list | dict) else None


def _step(value: Any, part: str) -> Any:
    if isinstance(value, str):
        value = literal(value)
    if isinstance(value, dict):
        return value.get(part, ABSENT)
    if isinstance(value, list):
        if part.isdigit():
            return value[int(part)] if int(part) < len(value) else ABSENT
        return [_step(item, part) for item in value]
    return ABSENT


def find(table: Table, wanted: str | int, parameter: str, path: Path, notes: Notes) -> tuple[str, Callable[[Sequence[Any]], Any]]:
    """Return the name of a column and what takes its value out of a row.

    Raises
    ------
    UserError
        If there is no such column, or two that differ in case or spaces only; proposes what there is.
    """
    places = {name: place for place, name in enumerate(table.columns)}
    if isinstance(wanted, int):
        if not 1 <= wanted <= len(table.columns):
            raise _no_column(table, str(wanted), parameter, path)
        return table.columns[wanted - 1], lambda row, at=wanted - 1: row[at]  # type: ignore[misc]
    name, rest = wanted, []
    parts = wanted.split(".")
    if wanted not in places:
        loose = [column for column in table.columns if simple(column) == simple(wanted)] if simple(wanted) else []
        if len(loose) == 1:
            name = loose[0]
            notes.found(f"column of {parameter}", f"{name!r} for {wanted!r}", parameter)
        elif len(loose) > 1:
            raise UserError(
                f"Several columns may be {wanted}: {some(loose)}.", where=str(path), remedy=f"Name one as it is spelt ({parameter})."
            )
        elif len(parts) > 1 and parts[0] in places:
            name, rest = parts[0], parts[1:]
        else:
            raise _no_column(table, wanted, parameter, path)
    at = places[name]
    if not rest:
        return name, lambda row: row[at]
    return wanted, lambda row: functools.reduce(_step, rest, row[at])


def _no_column(table: Table, wanted: str, parameter: str, path: Path) -> UserError:
    where = f"{path}: {table.place(0)}" if table.rows else str(path)
    guess = guess_columns(table)
    proposal = "" if guess is None else f"Perhaps text: {_shown(guess[0], table)}, labels: {_shown(guess[1], table)}. "
    if not table.header:
        return UserError(
            f"There is no column {wanted}, for the file has no header: columns are {some(table.columns, 20)}.", where=where,
            remedy=f"{proposal}Name columns by number in corpora.custom (text: 1, labels: 2), or say header: true.",
        )  # fmt: skip
    close = difflib.get_close_matches(wanted, table.columns, n=1)
    near = f"Did you mean {close[0]}? " if close else proposal
    ones = one_hot_columns(table)
    if parameter == "labels" and ones:
        near = f"For one column a class: labels: [{', '.join(ones)}]. "
    return UserError(
        f"There is no column {wanted}; there are {some(table.columns, 20)}.", where=where,
        remedy=f"{near}Name the columns of the file in corpora.custom (text, labels, split).",
    )  # fmt: skip


def _shown(name: str | list[str], table: Table) -> str:
    return f"[{', '.join(name)}]" if isinstance(name, list) else name


def _sample(table: Table, column: int) -> list[Any]:
    return [row[column] for row in table.rows[:_LOOKED_AT] if row[column] is not ABSENT and row[column] not in (None, "")]


def one_hot_columns(table: Table) -> list[str]:
    """Return the columns that hold nothing but 0 and 1, both of them; empty if fewer than two."""
    flags = {"0", "1", "0.0", "1.0", "true", "false"}
    found = []
    for column, name in enumerate(table.columns):
        seen = {str(value).strip().lower() for value in _sample(table, column) if not isinstance(value, list | dict)}
        if seen and seen <= flags and len(seen) > 1 and not any(isinstance(row[column], list | dict) for row in table.rows[:50]):
            found.append(name)
    return found if len(found) > 1 else []


def guess_columns(table: Table) -> tuple[str, str | list[str]] | None:
    """Return the columns that hold texts and labels by their names and by what they hold; None: no column looks like labels."""
    known = {simple(name): name for name in reversed(table.columns)}
    stats = {}
    for column, name in enumerate(table.columns):
        values = [str(value) for value in _sample(table, column)]
        if values:
            stats[name] = (len(set(values)), sum(map(len, values)) / len(values), len(values))
    if not stats:
        return None
    named = [known[simple(name)] for name in TEXT_COLUMNS if simple(name) in known and known[simple(name)] in stats]
    text = named[0] if named else max(stats, key=lambda name: (stats[name][0] > 1, stats[name][1]))
    if not named and stats[text][1] < 3:
        return None
    labels = [
        known[simple(name)]
        for name in LABEL_COLUMNS
        if simple(name) in known and known[simple(name)] in stats and known[simple(name)] != text
    ]
    if labels:
        return text, labels[0]
    ones = [name for name in one_hot_columns(table) if name != text]
    if len(ones) > 1:
        return text, ones
    # classes repeat and are short
    few = [
        name
        for name, (different, mean, count) in stats.items()
        if name != text and different <= max(2, count / 2) and mean < 40 and different > 1
    ]
    return (text, min(few, key=lambda name: stats[name][0])) if few else None


def guess_split(table: Table, notes: Notes) -> str | None:
    """Return the column that is named as one of splits and holds nothing else; one that holds other words too is warned about."""
    for column, name in enumerate(table.columns):
        if simple(name) in SPLIT_COLUMNS:
            seen = {str(value).strip().lower() for value in _sample(table, column)}
            if seen and seen <= set(SPLIT_NAMES):
                return name
            if seen & set(SPLIT_NAMES):
                other = sorted(seen - set(SPLIT_NAMES))[0]
                notes.warn(
                    f"The column {name!r} is not taken for splits, since it holds {other!r} too; rows are split by their hash (split)."
                )
    return None
