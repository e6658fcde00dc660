"""Headers of tables: whether there is one, what is above it, what its columns are called, and rows below it that are none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from emosynth.corpora.decoding import Notes
from emosynth.corpora.delimited import SEPARATORS
from emosynth.corpora.spelling import simple
from emosynth.params import UserCorpus

TEXT_COLUMNS = (
    "text", "tweet", "sentence", "content", "message", "comment", "review", "post", "utterance", "document", "body", "sit", "data",
)  # fmt: skip
LABEL_COLUMNS = (
    "label_text", "label_name", "label", "labels", "emotion", "emotions", "sentiment", "class", "category", "target", "feeling", "mood", "annotation",
)  # fmt: skip
SPLIT_COLUMNS = ("split", "subset", "partition", "fold", "set", "part")
MISSING_WORDS = (
    "nan", "null", "none", "n/a", "na", "nil", "nat", "<na>", "<nan>", "undefined", "-", "?", "#n/a", "#na", "#null!", "#ref!", "#value!", "#name?",
    "#div/0!", "#num!",
)  # fmt: skip
"""What programs write where there is nothing, in lower case."""
RATER = re.compile(r"rater|annotator|coder|judge|label+er|worker|turker|expert|vote[r\d]|vote$")
"""What columns of people who label are called."""
_TYPES = frozenset(
    ["string", "str", "text", "varchar", "char", "object", "category", "categorical", "nominal", "int", "int64", "integer", "float", "float64",
     "double", "numeric", "number", "bool", "boolean", "label", "date", "datetime", "id"]
)  # fmt: skip
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")
_ABOVE, _HEAD = 15, 100_000
"""Rows among which a header is looked for, and characters of a text that tell whether it is one."""


def bare(cell: Any) -> str:
    """Return a cell as a word; empty: nothing."""
    return "" if cell is None else str(cell).strip()


def header_below(rows: Sequence[Sequence[Any]], spec: UserCorpus) -> int:
    """Return which row is the header: the first, but for titles, notes or groups of columns above one that names texts and labels.

    Rows above it are none of a table without header: nothing in them stands below where the labels are.
    """
    named = spec.labels if isinstance(spec.labels, list) else [spec.labels]
    texts = {simple(name) for name in (*TEXT_COLUMNS, spec.text) if isinstance(name, str)}
    labels = {simple(name) for name in (*LABEL_COLUMNS, *named) if isinstance(name, str)} - texts
    for at, row in enumerate(rows[:_ABOVE]):
        names = [simple(bare(cell)) for cell in row]
        column = next((place for place, name in enumerate(names) if name in labels or (RATER.search(name) and name not in texts)), None)
        if texts & set(names) and column is not None:
            above, below = ({bare(other[column]) for other in part if len(other) > column} for part in (rows[:at], rows[at + 1 :]))
            return 0 if (above - {""}) & below else at
    return 0


def titles_above(rows: Sequence[Sequence[Any]], width: int, spec: UserCorpus) -> int:
    """Return how many rows of one cell stand above a header, in a table whose rows have more: what a spreadsheet is about."""
    at = next((place for place, row in enumerate(rows[: _ABOVE + 1]) if sum(map(bool, map(bare, row))) != 1), 0)
    known = {simple(name) for name in (*TEXT_COLUMNS, *LABEL_COLUMNS, spec.text, spec.labels) if isinstance(name, str)}
    if not at or any(simple(bare(cell)) in known for row in rows[:at] for cell in row):
        return 0
    more = sum(sum(map(bool, map(bare, row))) > 1 for row in rows[at:])
    return at if 2 * more > len(rows) - at and is_header(rows[at:], width, spec) else 0


def without_titles(text: str, spec: UserCorpus) -> tuple[str, list[int]]:
    """Return a delimited text with the lines above its header made blank, and which lines: titles, notes, comments (#)."""
    lines = re.split("(\r\n|\r|\n)", text[:_HEAD])
    held = [place for place in range(0, len(lines), 2) if lines[place].strip() and not re.match('"?sep=', lines[place], re.IGNORECASE)]
    gone: list[int] = []
    for sep in (spec.separator,) if spec.separator else SEPARATORS:
        rows = [[cell.strip().strip('"') for cell in lines[place].split(sep)] for place in held]
        if at := header_below(rows, spec):
            gone = held[:at]
            break
    else:
        first = next((at for at, place in enumerate(held) if not lines[place].lstrip().startswith("#")), 0)
        parted = [any(sep in lines[place] for sep in SEPARATORS) for place in held[: first + 1]]
        gone = held[:first] if first and parted[-1] and not any(parted[:-1]) else []
    for place in gone:
        lines[place] = ""
    return "".join(lines) + text[_HEAD:] if gone else text, [place // 2 + 1 for place in gone]


def is_header(rows: Sequence[Sequence[Any]], width: int, spec: UserCorpus) -> bool:
    """Tell names of columns, which are short words that differ and stand nowhere below, from a first row of cells."""
    first = [bare(cell) for cell in rows[0][:width]]
    wanted = [spec.text, *(spec.labels if isinstance(spec.labels, list) else [spec.labels])]
    known = [*TEXT_COLUMNS, *LABEL_COLUMNS, *SPLIT_COLUMNS, "id", "index", *(name for name in wanted if isinstance(name, str))]
    if set(map(simple, known)) & set(map(simple, first)):
        return True
    named = [cell for cell in first if cell]
    if any(cell and any(bare(row[column]) == cell for row in rows[1:]) for column, cell in enumerate(first)):
        return False
    if any(cell.endswith("?") or re.search(r"\?\s*[(\[*]", cell) or simple(cell) == "timestamp" for cell in named):
        return True  # questions of a survey
    return not (len(set(named)) < len(named) or any(len(cell) > 60 or len(cell.split()) > 6 or _NUMBER.fullmatch(cell) for cell in named))


def without_headers(
    names: Sequence[str], rows: list[list[Any]], places: list[int], unit: str, notes: Notes
) -> tuple[list[list[Any]], list[int], dict[str, list[int]]]:
    """Return rows and places without headers that stand again, and rows below the header that tell what columns hold; the latter by reason.

    A first row tells what columns hold if its cells are names of types or rules (---), if all columns of numbers have a word there, or as in exports of
    Qualtrics (a row of questions, then one of ImportIds).
    """
    head = [simple(name) for name in names]
    maybe = [at for at, row in enumerate(rows) if row and simple(bare(row[0])) == head[0]]
    again = [at for at in maybe if [simple(bare(cell)) for cell in rows[at][: len(head)]] == head]
    told: list[int] = []
    for at, row in enumerate(rows[:3]):
        full = [word for cell in row if (word := bare(cell))]
        if full and all("ImportId" in cell for cell in full):
            told = list(range(at + 1))
        elif at == 0 and len(full) > 1 and at not in again:
            told = (
                [0]
                if all(cell.strip("<>()[]").casefold() in _TYPES or re.fullmatch(":?-{3,}:?", cell) for cell in full) or _tells(rows)
                else []
            )
    apart: dict[str, list[int]] = {}
    for why, found, warned in (
        ("the header again", again, "repeat the header and are left out"),
        ("a second header", [at for at in told if at not in again], "below the header tell what columns hold, and are left out"),
    ):
        if found:
            apart[why] = [places[at] for at in found]
            notes.warn(f"{len(found)} rows {warned}, the first in {unit} {places[found[0]]} (header).")
    if not apart:
        return rows, places, apart
    left = sorted(set(range(len(rows))) - {*again, *told})
    return [rows[at] for at in left], [places[at] for at in left], apart


def _tells(rows: Sequence[Sequence[Any]]) -> bool:
    """Return whether the first row has a word in every column that holds numbers below it."""
    rest = rows[1 :: max(1, len(rows) // 200)]
    words = []
    for column, cell in enumerate(rows[0]):
        below = [word for row in rest if column < len(row) and (word := bare(row[column]))]
        if len(below) >= 5 and all(map(_NUMBER.fullmatch, below)):
            first = str(cell or "").strip()
            no_word = first.casefold() in (*MISSING_WORDS, "unknown", "missing", "inf")
            words.append(re.search(r"[^\W\d_]{2}|^[(\[].+[)\]]$", first) is not None and not no_word)
    return bool(words) and all(words)
