"""Headers of tables: whether there is one, what its columns are called, and rows below it that are none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emosynth.corpora.alike import folded
from emosynth.corpora.decoding import Notes
from emosynth.corpora.delimited import Cells
from emosynth.corpora.files import broken
from emosynth.corpora.schema import some
from emosynth.params import UserCorpus

TEXT_COLUMNS = (
    "text", "tweet", "sentence", "content", "message", "comment", "review", "post", "utterance", "document", "body", "sit", "data",
)  # fmt: skip
LABEL_COLUMNS = (
    "label_text", "label_name", "label", "labels", "emotion", "emotions", "sentiment", "class", "category", "target", "feeling", "mood", "annotation",
)  # fmt: skip
SPLIT_COLUMNS = ("split", "subset", "partition", "fold", "set", "part")


def simple(name: str) -> str:
    """Return a name of a column without case, spaces, underscores and invisible characters."""
    return re.sub(r"[\s_\-\"']+", "", folded(name))


_KNOWN = {simple(name) for name in (*TEXT_COLUMNS, *LABEL_COLUMNS, *SPLIT_COLUMNS, "id", "index")}

_TYPES = frozenset(
    ["string", "str", "text", "varchar", "char", "object", "category", "categorical", "nominal", "int", "int64", "integer", "float", "float64",
     "double", "numeric", "number", "bool", "boolean", "label", "date", "datetime", "id"]
)  # fmt: skip


def without_headers(
    names: Sequence[str], rows: Sequence[list[Any]], places: list[int], unit: str, notes: Notes
) -> tuple[list[list[Any]], list[int], dict[str, list[int]]]:
    """Return rows and places without headers that stand again, and rows below the header that tell what columns hold; the latter by reason.

    A first row tells what columns hold if its cells are names of types, if all columns of numbers have a word there, or as in exports of
    Qualtrics (a row of questions, then one of ImportIds).
    """
    head = [name.strip().casefold() for name in names]
    maybe = [at for at, row in enumerate(rows) if row and str(row[0]).strip().casefold() == head[0]]
    again = [at for at in maybe if [str(cell).strip().casefold() for cell in rows[at][: len(head)]] == head]
    told: list[int] = []
    for at, row in enumerate(rows[:3]):
        full = [str(cell).strip() for cell in row if cell is not None and str(cell).strip()]
        if full and all("ImportId" in cell for cell in full):
            told = list(range(at + 1))
        elif (
            at == 0
            and len(full) > 1
            and at not in again
            and (all(cell.strip("<>()[]").casefold() in _TYPES for cell in full) or _tells(rows))
        ):
            told = [0]
    gone = {*again, *told}
    apart: dict[str, list[int]] = {}
    for why, found, warned in (
        ("the header again", again, "repeat the header and are left out"),
        ("a second header", [at for at in told if at not in again], "below the header tell what columns hold, and are left out"),
    ):
        if found:
            apart[why] = [places[at] for at in found]
            notes.warn(f"{len(found)} rows {warned}, the first in {unit} {places[found[0]]} (header).")
    if not gone:
        return list(rows), places, apart
    return [row for at, row in enumerate(rows) if at not in gone], [place for at, place in enumerate(places) if at not in gone], apart


def _tells(rows: Sequence[Sequence[Any]]) -> bool:
    """Return whether the first row has a word in every column that holds numbers below it."""
    rest = rows[1 :: max(1, len(rows) // 200)]
    words = []
    for column in range(min(map(len, rows[:1]), default=0)):
        below = [str(row[column]).strip() for row in rest if column < len(row) and row[column] is not None and str(row[column]).strip()]
        if len(below) >= 5 and all(map(_number, below)):
            first = str(rows[0][column] or "").strip()
            words.append(re.search(r"[^\W\d_]{2}", first) is not None and first.casefold() not in _MISSING)
    return bool(words) and all(words)


_MISSING = frozenset(["nan", "na", "n/a", "null", "none", "nil", "unknown", "missing", "undefined", "inf"])


def columns(names: list[str], rows: Sequence[Sequence[Any]], path: Path, line: int, notes: Notes) -> tuple[list[str], list[int]]:
    """Return the names of columns that hold something, and their places; nameless ones are numbered."""
    kept, nameless = [], []
    for column, name in enumerate(names):
        if name:
            kept.append(column)
        elif any(column < len(row) and row[column] not in (None, "") and str(row[column]).strip() for row in rows):
            kept.append(column)
            names[column] = f"column {column + 1}"
        else:
            nameless.append(column + 1)
    if nameless:
        notes.found("empty columns", f"{len(nameless)} without name and content are passed over", "header")
    found = [names[column] for column in kept]
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        raise broken(f"Columns that occur twice: {some(twice)}.", path, line, "Give every column a name of its own.")
    return found, kept


def _number(cell: str) -> bool:
    return re.fullmatch(r"[+-]?\d+([.,]\d+)?", cell.strip()) is not None


def is_header(cells: Cells, spec: UserCorpus) -> bool:
    first = [cell.strip() for cell in cells.rows[0][: cells.width]]
    wanted = [spec.text, *(spec.labels if isinstance(spec.labels, list) else [spec.labels])]
    if _KNOWN & set(map(simple, first)) or {simple(name) for name in wanted if isinstance(name, str)} & set(map(simple, first)):
        return True
    rest = cells.rows[1:]
    again = any(cell and sum(row[column].strip() == cell for row in rest) > 0 for column, cell in enumerate(first))
    # names are short words and no numbers, and differ
    long = any(len(cell) > 60 or len(cell.split()) > 6 for cell in first)
    named = [cell for cell in first if cell]
    return not (again or long or len(set(named)) < len(named) or any(_number(cell) for cell in named))
