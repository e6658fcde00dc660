"""Which column of a table is meant: by name, number or dotted path; and cells that are lists written as words."""

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
from emosynth.corpora.guesses import guess_columns, one_hot_columns, share_columns
from emosynth.corpora.headers import simple
from emosynth.corpora.schema import some
from emosynth.corpora.tables import ABSENT, Table
from emosynth.errors import UserError

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
    ones = one_hot_columns(table) or share_columns(table)
    if parameter == "labels" and ones:
        near = f"For one column a class: labels: [{', '.join(ones)}]. "
    return UserError(
        f"There is no column {wanted}; there are {some(table.columns, 20)}.", where=where,
        remedy=f"{near}Name the columns of the file in corpora.custom (text, labels, split).",
    )  # fmt: skip


def _shown(name: str | list[str], table: Table) -> str:
    return f"[{', '.join(name)}]" if isinstance(name, list) else name
