"""Values of cells: lists and objects written as words, marks of yes and no, numbers, and what stands within objects."""

from __future__ import annotations

import ast
import functools
import json
import re
from collections.abc import Iterator
from typing import Any

from emosynth.corpora.headers import MISSING_WORDS
from emosynth.corpora.tables import ABSENT, Table, absent

_WORDS = re.compile(r"[\[{(]\s*([^\[\]{}()]*?)\s*[\]})]", re.DOTALL)
_QUOTED = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""")
PAIRS = tuple(map(frozenset, (("1", "0"), ("true", "false"), ("yes", "no"), ("y", "n"), ("t", "f"), ("x",), ("✓",), ("✔",), ("☑", "☐"),
    ("ja", "nein"), ("ja", "nee"), ("wahr", "falsch"), ("oui", "non"), ("vrai", "faux"), ("sí", "no"), ("sì", "no"), ("sim", "não"), ("да", "нет"))))  # fmt: skip
"""Marks of columns that say of a class yes or no; no mark is no."""
MARKS = frozenset().union(*PAIRS)
_LISTED = 3
"""Objects of a list whose paths are proposed."""
_PERCENT = re.compile(r"(\d+(?:[.,]\d+)?)\s*(%?)")


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
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str) and len(_QUOTED.findall(cell)) > 1:
            break
        if isinstance(value, set | tuple):
            return sorted(value, key=str) if isinstance(value, set) else list(value)
        return value if isinstance(value, list | dict) else None
    inside = _WORDS.fullmatch(cell)
    if inside is None or cell[0] == "(":
        return None
    quoted = _QUOTED.findall(inside[1])
    if quoted and not _QUOTED.sub("", inside[1]).strip(" \n\t,"):
        return [one or two for one, two in quoted]
    return [part.strip().strip("'\"") for part in inside[1].split(",") if part.strip()] if ":" not in inside[1] else None


def flag(value: Any) -> str:
    """Return a cell as a mark in lower case, whole numbers without decimals; nothing, or a dash, is the empty one."""
    word = "" if absent(value) or value != value else str(value).strip().lower()
    return "" if word in ("–", "—", *MISSING_WORDS) else word[0] if re.fullmatch(r"[01][.,]0+", word) else word


def number(value: Any) -> float | None:
    """Return a cell as a number, also with a decimal comma or per cent (of 1), an empty or missing one as 0; None: it is none."""
    if absent(value) or value == "" or value != value or (isinstance(value, str) and value.strip().lower() in MISSING_WORDS):
        return 0.0
    if isinstance(value, str) and (found := _PERCENT.fullmatch(value.strip())):
        return float(found[1].replace(",", ".")) / (100 if found[2] else 1)
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def step(value: Any, part: str) -> Any:
    if isinstance(value, str):
        value = literal(value)
    if isinstance(value, dict):
        return value.get(part, ABSENT)
    if isinstance(value, list):
        if part.isdigit():
            return value[int(part)] if int(part) < len(value) else ABSENT
        return [step(item, part) for item in value]
    return ABSENT


def dotted(value: Any, within: str, depth: int = 3) -> Iterator[str]:
    """Yield the dotted paths of what an object holds, those of labels and names first; of objects in a list the first few."""
    value = literal(value) if isinstance(value, str) else value
    if isinstance(value, list) and depth:
        for at, item in enumerate(value[:_LISTED]):
            yield from dotted(item, f"{within}.{at}", depth) if isinstance(item, dict) else ()
    if isinstance(value, dict) and depth:
        for name in sorted(map(str, value), key=lambda name: name not in ("label", "name", "value", "text")):
            inner = list(dotted(value.get(name), f"{within}.{name}", depth - 1))
            yield from inner or [f"{within}.{name}"]


def unfolded(table: Table) -> Table | None:
    """Return a table with the dotted paths of its objects as columns; None: it has no objects."""
    rows = table.rows[:: max(1, -(-len(table.rows) // 200))]
    paths = list(dict.fromkeys(path for row in rows for name, cell in zip(table.columns, row, strict=True) for path in dotted(cell, name)))[
        :100
    ]
    if not paths:
        return None
    taken = [(table.columns.index(next(name for name in table.columns if path.startswith(f"{name}."))), path) for path in paths]
    cells = [[functools.reduce(step, path.removeprefix(f"{table.columns[at]}.").split("."), row[at]) for at, path in taken] for row in rows]
    plain = [at for at, name in enumerate(table.columns) if not any(path.startswith(f"{name}.") for path in paths)]
    return Table([*(table.columns[at] for at in plain), *paths], [[*(row[at] for at in plain), *more] for row, more in zip(rows, cells, strict=True)],
                 range(len(rows)), table.unit, table.format)  # fmt: skip
